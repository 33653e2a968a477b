%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_map_owner).
-moduledoc """
The one process that writes to a map on this node: what is put here, and what comes from other nodes.

Keeps: the table shows what the store holds; a subscriber is told every local write, and every change of others that a reader can see, in the order
in which they happened here. A persistent write is answered when it is on the disk, and nothing else waits for that. Changes of others come in
batches with other work between them. After a crash the successor finds the content in the native store.
""".

-behaviour(gen_server).
-export([start_link/4, put/5, remove/3, delete/1, store/1]).
-export([init/1, handle_continue/2, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-record(state, {name :: atom(),
                table :: ets:table(),
                options :: barrel_p2p_map_options:options(),
                store :: barrel_p2p_store:store(),
                %% As long as it lives, who ends us means to end the map.
                keeper :: pid(),
                presence :: barrel_p2p_map_presence:presence(),
                %% answers: it has, or nobody waits for that any more. Until then its failures are taken for those of something that does not run yet.
                validator = silent :: silent | {failing, SinceMs :: integer()} | answers,
                %% Who waits for the disk, oldest first.
                waiting = queue:new() :: queue:queue({barrel_p2p_store:seq(), gen_server:from()}),
                disk = fine :: fine | failed}).

-type refusal() :: {error, too_large | busy | closed | atom()}.
-type request() :: {put, binary(), binary(), Key :: term(), Value :: term()} | {remove, binary(), Key :: term()} | delete | store.

%% How long to wait before a batch that the log had no room for is tried again.
-define(BUSY_MS, 10).
%% How often, and for how long, a batch is tried again for which the validator does nothing but fail.
-define(FAILING_MS, 200).
-define(VALIDATOR_PATIENCE_MS, 30_000).

%% Keeper is the process whose death is a crash of all maps and not their end.
-spec start_link(Name :: atom(), ets:table(), barrel_p2p_map_options:options(), Keeper :: pid()) -> gen_server:start_ret().
start_link(Name, Table, Options, Keeper) ->
    gen_server:start_link({local, barrel_p2p_map:owner_name(Name)}, ?MODULE, {Name, Table, Options, Keeper}, []).

%% Callers encode, since there are more of them.
-spec put(gen_server:server_ref(), KeyBytes :: binary(), ValueBytes :: binary(), Key :: term(), Value :: term()) -> ok | refusal().
put(Owner, KeyBytes, ValueBytes, Key, Value) ->
    gen_server:call(Owner, {put, KeyBytes, ValueBytes, Key, Value}, infinity).

-spec remove(gen_server:server_ref(), KeyBytes :: binary(), Key :: term()) -> ok | refusal().
remove(Owner, KeyBytes, Key) ->
    gen_server:call(Owner, {remove, KeyBytes, Key}, infinity).

%% Deletes the files and ends the owner for good.
-spec delete(gen_server:server_ref()) -> ok | barrel_p2p_native:error().
delete(Owner) ->
    gen_server:call(Owner, delete, infinity).

-spec store(gen_server:server_ref()) -> barrel_p2p_store:store().
store(Owner) ->
    gen_server:call(Owner, store, infinity).

-spec init({atom(), ets:table(), barrel_p2p_map_options:options(), pid()}) -> {ok, #state{}, {continue, pull}} | {stop, term()}.
init({Name, Table, #{tombstone_ttl_ms := Ttl, prune_on_peer_down := Prunes} = Options, Keeper}) ->
    process_flag(trap_exit, true),
    case barrel_p2p_store:open(barrel_p2p_map:replica_name(Name), #{tombstone_ttl_ms => Ttl, persist => directory(Options)}) of
        {ok, Store} ->
            ok = watch_members(Options),
            State = #state{name = Name, table = Table, options = Options, store = Store, keeper = Keeper,
                           presence = barrel_p2p_map_presence:new(Prunes)},
            {ok, loaded(start, State), {continue, pull}};
        {error, Error} ->
            {stop, {shutdown, Error}}
    end.

%% Before any write: what the one before has pulled and not committed would win over it in the table.
-spec handle_continue(pull, #state{}) -> {noreply, #state{}} | {stop, store_closed, #state{}}.
handle_continue(pull, State) ->
    pull(State).

-spec handle_call(request(), gen_server:from(), #state{}) ->
          {reply, term(), #state{}} | {noreply, #state{}} | {stop, store_closed, #state{}} | {stop, normal, ok | barrel_p2p_native:error(), #state{}}.
handle_call({put, KeyBytes, ValueBytes, Key, Value}, From, #state{table = Table, store = Store} = State) ->
    case barrel_p2p_store:put(Store, KeyBytes, ValueBytes) of
        {ok, Seq} ->
            ok = barrel_p2p_map_table:set(Table, Key, Value),
            ok = tell({put, Key, Value}, State),
            answer_when_safe(Seq, From, State);
        {error, Reason} ->
            refuse(Reason, State)
    end;
handle_call({remove, KeyBytes, Key}, From, #state{table = Table, store = Store} = State) ->
    case barrel_p2p_store:remove(Store, KeyBytes) of
        {ok, Seq} ->
            _ = barrel_p2p_map_table:take(Table, Key),
            ok = tell({remove, Key}, State),
            answer_when_safe(Seq, From, State);
        {error, Reason} ->
            refuse(Reason, State)
    end;
handle_call(delete, _From, #state{store = Store} = State) ->
    {stop, normal, barrel_p2p_store:delete(Store), State};
handle_call(store, _From, #state{store = Store} = State) ->
    {reply, Store, State}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(_Message, State) ->
    {noreply, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {stop, store_closed, #state{}}.
handle_info({barrel_p2p_store, Store, staged}, #state{store = Store} = State) ->
    pull(State);
handle_info(pull, State) ->
    pull(State);
handle_info({barrel_p2p_store, Store, {synced, Seq}}, #state{store = Store} = State) ->
    {noreply, synced(Seq, State#state{disk = fine})};
handle_info({barrel_p2p_store, Store, {failed, Reason}}, #state{store = Store} = State) ->
    {noreply, disk_failed(Reason, State)};
handle_info({barrel_p2p_member, Node, up}, #state{presence = Presence} = State) when Node =/= node() ->
    self() ! {show, Node, start},
    {noreply, forgotten_pruned(Node, State#state{presence = barrel_p2p_map_presence:up(Node, Presence)})};
handle_info({barrel_p2p_member, Node, Gone}, #state{presence = Presence, table = Table} = State) when Gone =:= down; Gone =:= left ->
    true = ets:safe_fixtable(Table, true),
    self() ! {hide, Node, {from, Node}},
    {noreply, State#state{presence = barrel_p2p_map_presence:down(Node, Presence)}};
handle_info({prune, Node, BeforeMs}, State) ->
    {noreply, pruned(Node, BeforeMs, State)};
handle_info({put_back, KeyBytes}, State) ->
    ok = put_back(KeyBytes, State),
    {noreply, State};
handle_info({show, Node, Cursor}, State) ->
    {noreply, show(Node, Cursor, State)};
handle_info({hide, Node, Continuation}, State) ->
    {noreply, hide(Node, Continuation, State)};
handle_info(scan, #state{options = #{scan_ms := Period, tombstone_ttl_ms := Ttl}, presence = Presence} = State) ->
    _ = erlang:send_after(Period, self(), scan),
    %% Not before the cluster has forgotten what was removed meanwhile anyway: a node that is merely cut off would erase what the others hold.
    Patience = max(Ttl, barrel_p2p_config:get(tombstone_max_age_ms)),
    {Nodes, Next} = barrel_p2p_map_presence:gone_for(Patience, Presence),
    {noreply, lists:foldl(fun(Node, S) -> pruned(Node, os:system_time(millisecond), S) end, State#state{presence = Next}, Nodes)};
handle_info(_Other, State) ->
    {noreply, State}.

%% After a crash the store is left to the successor.
-spec terminate(term(), #state{}) -> ok.
terminate(Reason, #state{store = Store, keeper = Keeper}) ->
    case (Reason =:= shutdown orelse Reason =:= normal) andalso is_process_alive(Keeper) of
        true -> barrel_p2p_store:close(Store);
        false -> ok
    end.

%% Local writes.

-spec answer_when_safe(barrel_p2p_store:seq(), gen_server:from(), #state{}) -> {reply, ok, #state{}} | {noreply, #state{}}.
answer_when_safe(0, _From, State) ->
    {reply, ok, State};
answer_when_safe(Seq, From, #state{waiting = Waiting} = State) ->
    {noreply, State#state{waiting = queue:in({Seq, From}, Waiting)}}.

%% A store that is closed without us ends us; the next one opens it again.
-spec refuse(too_large | busy | closed, #state{}) -> {reply, refusal(), #state{}} | {stop, store_closed, #state{}}.
refuse(closed, State) -> {stop, store_closed, State};
refuse(Reason, State) -> {reply, {error, Reason}, State}.

-spec synced(barrel_p2p_store:seq(), #state{}) -> #state{}.
synced(UpTo, #state{waiting = Waiting} = State) ->
    case queue:peek(Waiting) of
        {value, {Seq, From}} when Seq =< UpTo ->
            ok = gen_server:reply(From, ok),
            synced(UpTo, State#state{waiting = queue:drop(Waiting)});
        _ ->
            State
    end.

%% What was written stays in the map, goes to the other nodes and may still get to the disk; that it is safe is what nobody can say now.
-spec disk_failed(atom(), #state{}) -> #state{}.
disk_failed(Reason, #state{name = Name, waiting = Waiting, disk = Disk} = State) ->
    _ = Disk =:= failed orelse barrel_p2p_log:report(error, #{event => map_disk_failed, map => Name, reason => Reason}),
    lists:foreach(fun({_, From}) -> gen_server:reply(From, {error, Reason}) end, queue:to_list(Waiting)),
    State#state{waiting = queue:new(), disk = failed}.

%% Changes of others.

%% One batch; the next one after whatever has come in between.
-spec pull(#state{}) -> {noreply, #state{}} | {stop, store_closed, #state{}}.
pull(#state{store = Store, options = Options} = State) ->
    {Changes, Malformed, Rest} = barrel_p2p_store:pull(Store),
    Verdicts = [{verdict(Change, Options), Change} || Change <- Changes],
    case heard([Verdict || {Verdict, _} <- Verdicts, Verdict =/= removed], State) of
        #state{validator = {failing, _}} = Next ->
            _ = erlang:send_after(?FAILING_MS, self(), pull),
            {noreply, Next};
        Next ->
            Bad = [KeyBytes || {Verdict, {KeyBytes, _, _}} <- Verdicts, Verdict =:= no orelse Verdict =:= failed],
            merge([Change || {Verdict, Change} <- Verdicts, Verdict =:= yes orelse Verdict =:= removed], Malformed ++ Bad, Rest, Next)
    end.

-spec merge([barrel_p2p_store:change()], Rejected :: [binary()], more | last, #state{}) -> {noreply, #state{}} | {stop, store_closed, #state{}}.
merge(Good, Rejected, Rest, #state{store = Store, table = Table, options = #{persist := Persists}} = State) ->
    Held = barrel_p2p_map_own:held(Good, Table, Store, Persists),
    case barrel_p2p_store:commit(Store, Rejected) of
        {ok, _Seq} ->
            _ = [self() ! pull || Rest =:= more],
            Taken = barrel_p2p_map_own:taken(Held, Store),
            lists:foreach(fun(KeyBytes) -> put_back(KeyBytes, State) end, Taken),
            {noreply, lists:foldl(fun project/2, State, [Change || {KeyBytes, _, _} = Change <- Good, not lists:member(KeyBytes, Taken)])};
        {error, busy} ->
            _ = erlang:send_after(?BUSY_MS, self(), pull),
            {noreply, State};
        {error, _} ->
            {stop, store_closed, State}
    end.

-spec verdict(barrel_p2p_store:change(), barrel_p2p_map_options:options()) -> removed | barrel_p2p_map_options:verdict().
verdict({_, _, removed}, _Options) -> removed;
verdict({_, _, {value, Value, _}}, Options) -> barrel_p2p_map_options:verdict(Value, Options).

%% What is rejected is not offered again, so a map that is open before what its validator needs would lack it for good.
-spec heard([barrel_p2p_map_options:verdict()], #state{}) -> #state{}.
heard([], #state{validator = {failing, _}} = State) ->
    State#state{validator = silent};
heard(Verdicts, #state{validator = Before} = State) ->
    Now = erlang:monotonic_time(millisecond),
    case {lists:all(fun(Verdict) -> Verdict =:= failed end, Verdicts), Before} of
        {_, answers} -> State;
        {true, silent} when Verdicts =/= [] -> State#state{validator = {failing, Now}};
        {true, silent} -> State;
        {true, {failing, Since}} when Now - Since < ?VALIDATOR_PATIENCE_MS -> State;
        _ -> State#state{validator = answers}
    end.

%% Readers never miss it. Nothing that was written here since then is touched.
-spec put_back(KeyBytes :: binary(), #state{}) -> ok.
put_back(KeyBytes, #state{store = Store, table = Table}) ->
    case barrel_p2p_map_table:own(Table, binary_to_term(KeyBytes)) of
        {ok, Value} ->
            case barrel_p2p_store:restore(Store, KeyBytes, barrel_p2p_store:value(Value)) of
                {error, busy} -> _ = erlang:send_after(?BUSY_MS, self(), {put_back, KeyBytes}), ok;
                _ -> ok
            end;
        none ->
            ok
    end.

%% Brings the table in line with what the store has for a key.
-spec project(barrel_p2p_store:change(), #state{}) -> #state{}.
project({_, Key, removed}, State) ->
    gone(Key, State);
project({_, Key, {value, Value, Origin}}, #state{table = Table, presence = Presence} = State) ->
    case barrel_p2p_map_presence:is_shown(Origin, Presence) of
        {true, Next} ->
            _ = barrel_p2p_map_table:put(Table, Key, Value, Origin) andalso tell({put, Key, Value}, State),
            State#state{presence = Next};
        {false, Next} ->
            gone(Key, State#state{presence = Next})
    end.

-spec gone(term(), #state{}) -> #state{}.
gone(Key, #state{table = Table} = State) ->
    _ = barrel_p2p_map_table:take(Table, Key) andalso tell({remove, Key}, State),
    State.

%% Everything that the store holds.
-spec loaded(barrel_p2p_store:cursor() | done, #state{}) -> #state{}.
loaded(done, State) ->
    State;
loaded(Cursor, #state{store = Store} = State) ->
    {Changes, Next} = barrel_p2p_store:scan(Store, Cursor),
    loaded(Next, lists:foldl(fun project/2, State, Changes)).

-spec tell({put, term(), term()} | {remove, term()}, #state{}) -> ok.
tell(What, #state{name = Name}) ->
    barrel_p2p_events:publish({map, Name}, {barrel_p2p_map, Name, What}).

%% Nodes that come and go.

-spec watch_members(barrel_p2p_map_options:options()) -> ok.
watch_members(#{prune_on_peer_down := false}) ->
    ok;
watch_members(#{scan_ms := Period}) ->
    _ = erlang:send_after(Period, self(), scan),
    barrel_p2p_events:subscribe(members, self()).

%% A node that has started again has nothing of what it had in memory; if only its distribution has, it has everything. What it had on its disk it
%% puts back, once: it is not removed each time the node is seen again.
-spec forgotten_pruned(node(), #state{}) -> #state{}.
forgotten_pruned(Node, #state{options = #{persist := false}, presence = Presence} = State) ->
    case barrel_p2p_gossip:remembers_since(Node) of
        {ok, SinceMs} ->
            case barrel_p2p_map_presence:has_forgotten(Node, SinceMs, Presence) of
                {true, Next} -> pruned(Node, SinceMs, State#state{presence = Next});
                false -> State
            end;
        gone ->
            State
    end;
forgotten_pruned(_Node, State) ->
    State.

%% Every node that does this comes to the same entries. The store may stop half-way, when its log has no more room.
-spec pruned(node(), BeforeMs :: non_neg_integer(), #state{}) -> #state{}.
pruned(Node, BeforeMs, #state{store = Store} = State) ->
    case barrel_p2p_store:prune(Store, Node, BeforeMs) of
        {ok, _Seq, []} ->
            State;
        {ok, _Seq, Keys} ->
            ok = prune_later(Node, BeforeMs),
            lists:foldl(fun(KeyBytes, S) -> gone(binary_to_term(KeyBytes), S) end, State, Keys);
        {error, busy} ->
            ok = prune_later(Node, BeforeMs),
            State;
        {error, closed} ->
            State
    end.

-spec prune_later(node(), BeforeMs :: non_neg_integer()) -> ok.
prune_later(Node, BeforeMs) ->
    _ = erlang:send_after(?BUSY_MS, self(), {prune, Node, BeforeMs}),
    ok.

-spec show(node(), barrel_p2p_store:cursor(), #state{}) -> #state{}.
show(Node, Cursor, #state{store = Store} = State) ->
    {Changes, Next} = barrel_p2p_store:scan(Store, Cursor),
    _ = [self() ! {show, Node, Next} || Next =/= done],
    lists:foldl(fun project/2, State, [Change || {_, _, {value, _, Origin}} = Change <- Changes, Origin =:= Node]).

-spec hide(node(), term(), #state{}) -> #state{}.
hide(Node, Continuation, #state{table = Table, presence = Presence} = State) ->
    case {barrel_p2p_map_presence:is_shown(Node, Presence), barrel_p2p_map_table:of_origin(Table, Continuation)} of
        {{false, _}, {Keys, Next}} ->
            self() ! {hide, Node, Next},
            lists:foldl(fun gone/2, State, Keys);
        _ ->
            true = ets:safe_fixtable(Table, false),
            State
    end.

-spec directory(barrel_p2p_map_options:options()) -> none | binary().
directory(#{persist := true}) -> barrel_p2p_config:get(barrel_p2p_map_data_dir);
directory(#{persist := false}) -> none.
