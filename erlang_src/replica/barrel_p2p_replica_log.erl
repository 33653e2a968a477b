%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_replica_log).
-moduledoc """
The changes of an OR-map on the disk, so that a state over `barrel_p2p_replica` survives a restart.

A delta is appended at once and on the disk when `sync/1` says so; everybody who waits shares one write. Opening gives the merge of all that was
appended, in whatever order: what a crash cut off at the end, and what is no delta, is left out. `snapshot/2` replaces what was appended before by
the map it is given; how often is for the application to say. A handle may be `undefined`, for a state that is not to be kept: then everything
is `ok`.
""".

-behaviour(gen_server).
-export([open/2, append/2, sync/1, snapshot/2, close/1, delete/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).
-export_type([handle/0]).

-opaque handle() :: pid().
-type name() :: atom() | binary() | string().
-type reason() :: too_large | busy | closed | atom() | {Code :: atom(), Detail :: binary()}.
-type request() :: {append, binary()} | sync | {snapshot, [binary()]} | close | take.
-record(state, {log :: barrel_p2p_nif:log(),
                recovered :: barrel_p2p_ormap:ormap(),
                appended = 0 :: non_neg_integer(),
                synced = 0 :: non_neg_integer(),
                %% Who waits for the disk, and who for the snapshot.
                waiting = [] :: [{Seq :: non_neg_integer(), gen_server:from()}],
                snapshot = none :: none | gen_server:from()}).

%% How often an append that finds no room is tried again.
-define(BUSY_MS, 10).

%% Opens the log, making the directory if there is none, with what it holds. It closes with the process that opened it.
-spec open(name(), Dir :: file:name_all()) -> {ok, handle(), barrel_p2p_ormap:ormap()} | {error, reason()}.
open(Name, Dir) ->
    case gen_server:start(?MODULE, {self(), text(Name), directory(Dir)}, []) of
        {ok, Pid} -> {ok, Pid, gen_server:call(Pid, take, infinity)};
        {error, {shutdown, Reason}} -> {error, Reason}
    end.

%% Waits only while too much waits for the disk.
-spec append(handle() | undefined, Delta :: barrel_p2p_ormap:ormap()) -> ok | {error, reason()}.
append(undefined, _Delta) ->
    ok;
append(Handle, Delta) ->
    append_record(Handle, term_to_binary(Delta)).

%% Returns when everything that was appended before is on the disk.
-spec sync(handle() | undefined) -> ok | {error, reason()}.
sync(undefined) -> ok;
sync(Handle) -> call(Handle, sync).

%% The map, which has in it all that was appended, takes its place. Returns when that is on the disk.
-spec snapshot(handle() | undefined, barrel_p2p_ormap:ormap()) -> ok | {error, reason()}.
snapshot(undefined, _Map) ->
    ok;
snapshot(Handle, Map) ->
    %% What still waits for the disk would come after the snapshot.
    case sync(Handle) of
        ok -> call(Handle, {snapshot, [term_to_binary(#{Key => Entry}) || {Key, Entry} <- maps:to_list(Map)]});
        {error, _} = Error -> Error
    end.

%% Everything appended is on the disk when this returns. Idempotent.
-spec close(handle() | undefined) -> ok.
close(undefined) ->
    ok;
close(Handle) ->
    _ = call(Handle, close),
    ok.

%% Deletes the files of a log that is not open.
-spec delete(name(), Dir :: file:name_all()) -> ok | {error, reason()}.
delete(Name, Dir) ->
    case barrel_p2p_native:load() of
        ok -> barrel_p2p_nif:log_delete(directory(Dir), text(Name));
        {error, _} = Error -> Error
    end.

-spec init({pid(), binary(), binary()}) -> {ok, #state{}} | {stop, {shutdown, reason()}}.
init({Opener, Name, Dir}) ->
    _ = monitor(process, Opener),
    case opened(Dir, Name) of
        {ok, Log, Records} -> {ok, #state{log = Log, recovered = lists:foldl(fun recover/2, barrel_p2p_ormap:new(), Records)}};
        {error, Reason} -> {stop, {shutdown, Reason}}
    end.

-spec handle_call(request(), gen_server:from(), #state{}) ->
          {reply, term(), #state{}} | {noreply, #state{}} | {stop, normal, ok, #state{}}.
handle_call(take, _From, #state{recovered = Map} = State) ->
    {reply, Map, State#state{recovered = barrel_p2p_ormap:new()}};
handle_call({append, Record}, _From, #state{log = Log} = State) ->
    case barrel_p2p_nif:log_append(Log, Record) of
        {ok, Seq} -> {reply, ok, State#state{appended = Seq}};
        {error, _} = Error -> {reply, Error, State}
    end;
handle_call(sync, _From, #state{appended = Seq, synced = Seq} = State) ->
    {reply, ok, State};
handle_call(sync, From, #state{appended = Seq, waiting = Waiting} = State) ->
    {noreply, State#state{waiting = [{Seq, From} | Waiting]}};
handle_call({snapshot, _Records}, _From, #state{snapshot = Other} = State) when Other =/= none ->
    {reply, {error, busy}, State};
handle_call({snapshot, Records}, From, #state{log = Log} = State) ->
    case barrel_p2p_nif:log_snapshot(Log, Records) of
        ok -> {noreply, State#state{snapshot = From}};
        {error, _} = Error -> {reply, Error, State}
    end;
handle_call(close, _From, State) ->
    {stop, normal, ok, State}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(_Message, State) ->
    {noreply, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {stop, normal, #state{}}.
handle_info({barrel_p2p_log, Log, {synced, Seq}}, #state{log = Log, waiting = Waiting} = State) ->
    {Done, Rest} = lists:partition(fun({Its, _}) -> Its =< Seq end, Waiting),
    {noreply, answered(Done, ok, State#state{synced = Seq, waiting = Rest})};
handle_info({barrel_p2p_log, Log, {failed, Reason}}, #state{log = Log, waiting = Waiting} = State) ->
    {noreply, answered(Waiting, {error, Reason}, State#state{waiting = []})};
handle_info({barrel_p2p_log, Log, snapshot_done}, #state{log = Log} = State) ->
    {noreply, snapshot_answered(ok, State)};
handle_info({barrel_p2p_log, Log, {snapshot_failed, Reason}}, #state{log = Log} = State) ->
    {noreply, snapshot_answered({error, Reason}, State)};
handle_info({'DOWN', _, process, _, _}, State) ->
    {stop, normal, State};
handle_info(_Other, State) ->
    {noreply, State}.

-spec terminate(term(), #state{}) -> ok.
terminate(_Reason, #state{log = Log, waiting = Waiting} = State) ->
    ok = barrel_p2p_nif:log_close(Log),
    _ = snapshot_answered({error, closed}, answered(Waiting, {error, closed}, State)),
    ok.

-spec opened(binary(), binary()) -> {ok, barrel_p2p_nif:log(), [binary()]} | barrel_p2p_native:error().
opened(Dir, Name) ->
    case barrel_p2p_native:load() of
        ok -> barrel_p2p_nif:log_open(Dir, Name, self());
        {error, _} = Error -> Error
    end.

%% The files are our own and checked by the log; what is in them may be of another version.
-spec recover(binary(), barrel_p2p_ormap:ormap()) -> barrel_p2p_ormap:ormap().
recover(Record, Map) ->
    try binary_to_term(Record) of
        Delta -> barrel_p2p_ormap:merge(Map, barrel_p2p_crdt_wire:accept(Delta, fun(_) -> true end))
    catch
        error:badarg -> Map
    end.

-spec append_record(handle(), binary()) -> ok | {error, reason()}.
append_record(Handle, Record) ->
    case call(Handle, {append, Record}) of
        {error, busy} -> receive after ?BUSY_MS -> append_record(Handle, Record) end;
        Result -> Result
    end.

-spec call(handle(), request()) -> ok | {error, reason()}.
call(Handle, Request) ->
    try gen_server:call(Handle, Request, infinity)
    catch exit:{_, {gen_server, call, _}} -> {error, closed}
    end.

-spec answered([{non_neg_integer(), gen_server:from()}], ok | {error, reason()}, #state{}) -> #state{}.
answered(Waiting, Answer, State) ->
    lists:foreach(fun({_, From}) -> gen_server:reply(From, Answer) end, Waiting),
    State.

-spec snapshot_answered(ok | {error, reason()}, #state{}) -> #state{}.
snapshot_answered(_Answer, #state{snapshot = none} = State) ->
    State;
snapshot_answered(Answer, #state{snapshot = From} = State) ->
    ok = gen_server:reply(From, Answer),
    State#state{snapshot = none}.

-spec text(name()) -> binary().
text(Name) when is_atom(Name) -> atom_to_binary(Name);
text(Name) -> unicode:characters_to_binary(Name).

-spec directory(file:name_all()) -> binary().
directory(Dir) ->
    unicode:characters_to_binary(filename:absname(Dir)).
