%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_test_store).
-moduledoc """
The least that an owner of a store has to do, for tests: it takes every change that is well-formed, answers writes when they are on the disk,
and keeps what it knows in a table of its own name.
""".

-export([start/2, stop/1, kill/1, put/3, put_bytes/3, remove/2, prune/2, content/1, ormap/1, told/1, info/1]).

%% Returns when the store is open.
-spec start(atom(), map()) -> ok | {error, term()}.
start(Name, Options) ->
    Self = self(),
    Owner = spawn(fun() -> init(Name, Options, Self) end),
    Monitor = monitor(process, Owner),
    receive
        {Owner, Opened} -> demonitor(Monitor, [flush]), Opened;
        {'DOWN', Monitor, process, Owner, Reason} -> {error, Reason}
    end.

%% Closes or deletes the store.
-spec stop({close | delete, atom()}) -> ok | {error, term()}.
stop({How, Name}) -> call(Name, How).

%% The owner vanishes without a word.
-spec kill(atom()) -> ok.
kill(Name) ->
    Owner = whereis(Name),
    Monitor = monitor(process, Owner),
    exit(Owner, kill),
    receive {'DOWN', Monitor, process, Owner, _} -> ok end.

-spec put(atom(), term(), term()) -> ok | {error, term()}.
put(Name, Key, Value) ->
    put_bytes(Name, barrel_p2p_store:key(Key), barrel_p2p_store:value(Value)).

%% Also what no owner should accept.
-spec put_bytes(atom(), binary(), binary()) -> ok | {error, term()}.
put_bytes(Name, KeyBytes, ValueBytes) ->
    call(Name, {put, KeyBytes, ValueBytes}).

-spec remove(atom(), term()) -> ok | {error, term()}.
remove(Name, Key) ->
    call(Name, {remove, barrel_p2p_store:key(Key)}).

-spec prune(atom(), node()) -> [term()].
prune(Name, Node) ->
    call(Name, {prune, Node}).

%% What the owner has made of what it was told.
-spec content(atom()) -> #{term() => term()}.
content(Name) ->
    maps:from_list(ets:tab2list(Name)).

-spec ormap(atom()) -> map().
ormap(Name) ->
    call(Name, ormap).

%% How often the owner was told that something is staged.
-spec told(atom()) -> non_neg_integer().
told(Name) ->
    call(Name, told).

-spec info(atom()) -> map().
info(Name) ->
    call(Name, info).

call(Name, Request) ->
    Monitor = monitor(process, Name),
    Name ! {self(), Monitor, Request},
    receive
        {Monitor, Answer} -> demonitor(Monitor, [flush]), Answer;
        {'DOWN', Monitor, process, _, Reason} -> {error, {owner, Reason}}
    after 60_000 -> error({no_answer, Name, Request})
    end.

init(Name, Options, Starter) ->
    true = register(Name, self()),
    Name = ets:new(Name, [named_table, public]),
    case barrel_p2p_store:open(Name, Options) of
        {ok, Store} ->
            ok = show(Store, Name, start),
            Starter ! {self(), ok},
            loop(#{store => Store, name => Name, waiting => [], told => 0});
        {error, _} = Error ->
            Starter ! {self(), Error}
    end.

show(_Store, _Name, done) ->
    ok;
show(Store, Name, Cursor) ->
    {Changes, Next} = barrel_p2p_store:scan(Store, Cursor),
    _ = [project(Name, Change) || Change <- Changes],
    show(Store, Name, Next).

project(Name, {_, Key, {value, Value, _}}) -> ets:insert(Name, {Key, Value});
project(Name, {_, Key, removed}) -> ets:delete(Name, Key).

loop(#{store := Store, name := Name, waiting := Waiting, told := Told} = State) ->
    receive
        {barrel_p2p_store, Store, staged} ->
            ok = take(Store, Name),
            loop(State#{told := Told + 1});
        {barrel_p2p_store, Store, {synced, Seq}} ->
            {Done, Left} = lists:partition(fun({Number, _, _}) -> Number =< Seq end, Waiting),
            _ = [From ! {Ref, ok} || {_, From, Ref} <- Done],
            loop(State#{waiting := Left});
        {barrel_p2p_store, Store, {failed, Reason}} ->
            _ = [From ! {Ref, {error, Reason}} || {_, From, Ref} <- Waiting],
            loop(State#{waiting := []});
        {From, Ref, {put, Key, Value}} ->
            Written = barrel_p2p_store:put(Store, Key, Value),
            _ = [ets:insert(Name, {term(Key), term(Value)}) || {ok, _} <- [Written]],
            loop(answer(Written, From, Ref, State));
        {From, Ref, {remove, Key}} ->
            Written = barrel_p2p_store:remove(Store, Key),
            _ = [ets:delete(Name, binary_to_term(Key)) || {ok, _} <- [Written]],
            loop(answer(Written, From, Ref, State));
        {From, Ref, {prune, Node}} ->
            {ok, _, Keys} = barrel_p2p_store:prune(Store, Node, infinity),
            Removed = [binary_to_term(Key) || Key <- Keys],
            _ = [ets:delete(Name, Key) || Key <- Removed],
            From ! {Ref, Removed},
            loop(State);
        {From, Ref, ormap} -> From ! {Ref, barrel_p2p_store:to_ormap(Store)}, loop(State);
        {From, Ref, told} -> From ! {Ref, Told}, loop(State);
        {From, Ref, info} -> From ! {Ref, barrel_p2p_store:info(Store)}, loop(State);
        {From, Ref, close} -> From ! {Ref, barrel_p2p_store:close(Store)};
        {From, Ref, delete} -> From ! {Ref, barrel_p2p_store:delete(Store)}
    end.

term(Bytes) ->
    try binary_to_term(Bytes)
    catch error:badarg -> {raw, Bytes}
    end.

take(Store, Name) ->
    {Changes, Malformed, Rest} = barrel_p2p_store:pull(Store),
    {ok, _} = barrel_p2p_store:commit(Store, Malformed),
    _ = [project(Name, Change) || Change <- Changes],
    case Rest of
        more -> take(Store, Name);
        last -> ok
    end.

answer({ok, 0}, From, Ref, State) -> From ! {Ref, ok}, State;
answer({ok, Seq}, From, Ref, #{waiting := Waiting} = State) -> State#{waiting := [{Seq, From, Ref} | Waiting]};
answer({error, _} = Error, From, Ref, State) -> From ! {Ref, Error}, State.
