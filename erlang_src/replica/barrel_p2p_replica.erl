%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_replica).
-moduledoc """
Replication for a state that merges in its own way: broadcasts changes, brings those of others, and exchanges whole states where a broadcast
cannot have been heard. For an ordinary map use `barrel_p2p_map`, which exchanges only differences.

The state belongs to a process of the application, the owner, which is started before the instance; the callbacks run in the process of the instance
and hand on to the owner. One module may serve several instances: each callback gets the name.

Keeps: a late or restarted instance gets the state of its neighbours; so does one whose link was lost in between. A node that is gone is told to
the callback once, a neighbour that is merely none any more is not. Snapshots travel in pieces at the pace of the receiver, and neither a slow
or failing callback nor anything that another node sends ends the instance; both are counted in `info/1`. Merging is idempotent, or this
cannot work: a change may come more than once and late. Own broadcasts do not come back. Leaves to others: what a merge means.
""".

-behaviour(gen_server).
-export([start_link/1, broadcast_update/2, broadcast_custom/2, info/1]).
-export([init/1, handle_continue/2, handle_call/3, handle_cast/2, handle_info/2]).
-export_type([options/0, update/0]).

%% Merges entries of barrel_p2p_ormap. Each is valid in the sense of barrel_p2p_crdt_wire:valid_entry/1; nobody has looked at the values.
-callback replica_merge_delta(Name :: atom(), Delta :: barrel_p2p_ormap:ormap()) -> ok.
%% Merges what the other side's replica_full_sync_snapshot/1 gave. Nobody has checked it.
-callback replica_apply_full_sync(Name :: atom(), Snapshot :: term()) -> ok.
%% The whole state, tombstones included. Runs in a process of its own and may take a minute.
-callback replica_full_sync_snapshot(Name :: atom()) -> {sync, Snapshot :: term()} | empty.
%% The node is down or has left.
-callback replica_remove_node(Name :: atom(), node()) -> ok.
%% Merges what somebody gave to broadcast_custom/2. Nobody has checked it.
-callback replica_merge_custom(Name :: atom(), Payload :: term()) -> ok.
%% Whether instances of this module fetch the state of some neighbour now and then, every replica_anti_entropy_ms.
-callback replica_anti_entropy() -> boolean().
-optional_callbacks([replica_merge_custom/2, replica_anti_entropy/0]).

-type options() :: #{name := atom(), callback := module()}.
-type update() :: {add, Key :: term(), Value :: term()} | {remove, Key :: term()}.
-type counter() :: malformed | callback_failures | deltas | snapshots_taken | snapshots_given.
-record(state, {name :: atom(),
                callback :: module(),
                pull :: barrel_p2p_replica_pull:pull(),
                serve :: barrel_p2p_replica_serve:serve(),
                events = none :: none | reference(),
                sweeping = false :: boolean(),
                counters = #{} :: #{counter() => pos_integer()}}).

-define(ATTACH_MS, 250).
-define(SWEEP_MS, 5_000).

%% Name is the registered name of the process and the tag of the instance: the same on all nodes, and no other's.
-spec start_link(options()) -> gen_server:start_ret().
start_link(#{name := Name, callback := Callback}) when is_atom(Name), is_atom(Callback) ->
    gen_server:start_link({local, Name}, ?MODULE, {Name, Callback}, []).

%% Tells everybody else of a write, with a new dot or tombstone. Runs in the caller and needs no instance here. `busy`: nobody was told; anti-entropy
%% makes up for it, or the caller tries again.
-spec broadcast_update(Name :: atom(), update()) -> ok | {error, too_large | busy}.
broadcast_update(Name, {add, Key, Value}) ->
    broadcast_delta(Name, barrel_p2p_ormap:add(Key, Value, barrel_p2p_ormap:new()));
broadcast_update(Name, {remove, Key}) ->
    broadcast_delta(Name, barrel_p2p_ormap:remove(Key, barrel_p2p_ormap:new())).

%% Any term to replica_merge_custom/2 of the instances on all other nodes.
-spec broadcast_custom(Name :: atom(), Payload :: term()) -> ok | {error, too_large | busy}.
broadcast_custom(Name, Payload) ->
    barrel_p2p_plumtree:broadcast(Name, {custom, node(), Payload}).

%% What the instance has done and what went wrong: changes merged, snapshots taken and given, malformed messages, failures of callbacks.
-spec info(Name :: atom()) -> #{counter() := non_neg_integer()}.
info(Name) ->
    gen_server:call(Name, info).

-spec init({atom(), module()}) -> {ok, #state{}, {continue, attach}}.
init({Name, Callback}) ->
    schedule_anti_entropy(Callback),
    Tag = {?MODULE, Name},
    {ok, #state{name = Name, callback = Callback, pull = barrel_p2p_replica_pull:new(Tag), serve = barrel_p2p_replica_serve:new(Tag)},
     {continue, attach}}.

-spec handle_continue(attach, #state{}) -> {noreply, #state{}}.
handle_continue(attach, State) ->
    {noreply, attach(State)}.

-spec handle_call(info, gen_server:from(), #state{}) -> {reply, #{counter() := non_neg_integer()}, #state{}}.
handle_call(info, _From, #state{counters = Counters} = State) ->
    Zero = maps:from_keys([malformed, callback_failures, deltas, snapshots_taken, snapshots_given], 0),
    {reply, maps:merge(Zero, Counters), State}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(_Message, State) ->
    {noreply, State}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}}.
handle_info({plumtree_broadcast, {Name, Payload}}, #state{name = Name} = State) ->
    {noreply, broadcast(Payload, State)};
handle_info({barrel_p2p_direct, From, {?MODULE, Name}, Message}, #state{name = Name} = State) ->
    {noreply, direct(From, Message, State)};
handle_info({barrel_p2p_event, {peer_up, Node}}, State) ->
    {noreply, want([Node], State)};
handle_info({barrel_p2p_member, Node, Gone}, State) when Gone =:= down; Gone =:= left ->
    {noreply, call(replica_remove_node, [Node], State)};
handle_info({timeout, Timer, pull}, #state{pull = Pull} = State) ->
    {noreply, State#state{pull = barrel_p2p_replica_pull:timeout(Timer, Pull)}};
handle_info({timeout, _, sweep}, #state{serve = Serve} = State) ->
    {noreply, sweep_later(State#state{serve = barrel_p2p_replica_serve:sweep(Serve), sweeping = false})};
handle_info({timeout, _, anti_entropy}, #state{callback = Callback} = State) ->
    schedule_anti_entropy(Callback),
    {noreply, want(one_of(barrel_p2p_gossip:active_view()), State)};
handle_info({timeout, _, attach}, State) ->
    {noreply, attach(State)};
handle_info({'DOWN', Events, process, _, _}, #state{events = Events} = State) ->
    {noreply, attach_later(State)};
handle_info({barrel_p2p_replica_made, Pid, Result}, #state{serve = Serve} = State) ->
    {noreply, made(Result, State#state{serve = barrel_p2p_replica_serve:made(Pid, Result, Serve)})};
handle_info({'DOWN', _, process, Pid, Reason}, #state{serve = Serve} = State) ->
    %% Killed, since it took too long.
    {noreply, made({failed, Reason}, State#state{serve = barrel_p2p_replica_serve:made(Pid, {failed, Reason}, Serve)})};
handle_info(_Other, State) ->
    {noreply, State}.

%% The sources of events.

%% Subscribes, and fetches what was missed while this instance was not subscribed. The subscriptions outlive the server that keeps them, but not the
%% application, which may be started after this instance and again.
-spec attach(#state{}) -> #state{}.
attach(#state{name = Name} = State) ->
    Topics = [view, members, {broadcast, Name}, {direct, {?MODULE, Name}}],
    try lists:foreach(fun(Topic) -> barrel_p2p_events:subscribe(Topic, self()) end, Topics) of
        ok -> want(barrel_p2p_gossip:active_view(), State#state{events = monitor(process, barrel_p2p_events)})
    catch
        exit:_ -> attach_later(State)
    end.

-spec attach_later(#state{}) -> #state{}.
attach_later(State) ->
    _ = erlang:start_timer(?ATTACH_MS, self(), attach),
    State#state{events = none}.

%% A quarter more or less, so that the nodes of a cluster do not do it together.
-spec schedule_anti_entropy(module()) -> ok.
schedule_anti_entropy(Callback) ->
    case has_anti_entropy(Callback) andalso barrel_p2p_config:get(replica_anti_entropy_ms) of
        Period when is_integer(Period), Period > 0 ->
            _ = erlang:start_timer(Period * 3 div 4 + rand:uniform(Period div 2 + 1), self(), anti_entropy),
            ok;
        _ ->
            ok
    end.

-spec has_anti_entropy(module()) -> boolean().
has_anti_entropy(Callback) ->
    exports(Callback, replica_anti_entropy, 0) andalso Callback:replica_anti_entropy().

-spec one_of([node()]) -> [node()].
one_of([]) -> [];
one_of(Nodes) -> [lists:nth(rand:uniform(length(Nodes)), Nodes)].

%% Changes.

-spec broadcast_delta(atom(), barrel_p2p_ormap:ormap()) -> ok | {error, too_large | busy}.
broadcast_delta(Name, Delta) ->
    barrel_p2p_plumtree:broadcast(Name, {delta, node(), Delta}).

-spec broadcast(term(), #state{}) -> #state{}.
broadcast({Kind, From, _}, State) when Kind =:= delta orelse Kind =:= custom, From =:= node() ->
    State;
broadcast({delta, From, Delta}, State) when is_atom(From), is_map(Delta) ->
    Accepted = barrel_p2p_crdt_wire:accept(Delta, fun(_) -> true end),
    Judged = case map_size(Accepted) =:= map_size(Delta) of
                 true -> State;
                 false -> count(malformed, State)
             end,
    case map_size(Accepted) of
        0 -> Judged;
        _ -> call(replica_merge_delta, [Accepted], count(deltas, Judged))
    end;
broadcast({custom, From, Payload}, #state{callback = Callback} = State) when is_atom(From) ->
    case exports(Callback, replica_merge_custom, 2) of
        true -> call(replica_merge_custom, [Payload], State);
        false -> State
    end;
broadcast(_, State) ->
    count(malformed, State).

%% Whole states.

-spec want([node()], #state{}) -> #state{}.
want(Nodes, #state{pull = Pull} = State) ->
    State#state{pull = lists:foldl(fun barrel_p2p_replica_pull:want/2, Pull, Nodes)}.

-spec direct(node(), term(), #state{}) -> #state{}.
direct(From, {pull, Ref, Offset}, #state{serve = Serve} = State) when is_reference(Ref), is_integer(Offset), Offset >= 0 ->
    sweep_later(State#state{serve = barrel_p2p_replica_serve:pull(From, Ref, Offset, make(State), Serve)});
direct(From, {done, Ref}, #state{serve = Serve} = State) when is_reference(Ref) ->
    State#state{serve = barrel_p2p_replica_serve:done(From, Ref, Serve)};
direct(From, Answer, #state{pull = Pull} = State) ->
    case barrel_p2p_replica_pull:take(From, Answer, Pull) of
        {none, Next} -> State#state{pull = Next};
        {malformed, Next} -> count(malformed, State#state{pull = Next});
        {{snapshot, _, Bytes}, Next} -> snapshot(Bytes, State#state{pull = Next})
    end.

-spec snapshot(binary(), #state{}) -> #state{}.
snapshot(<<>>, State) ->
    count(snapshots_taken, State);
snapshot(Bytes, #state{name = Name} = State) ->
    case barrel_p2p_payload:decode(Bytes) of
        {ok, {Name, Snapshot}} -> call(replica_apply_full_sync, [Snapshot], count(snapshots_taken, State));
        _ -> count(malformed, State)
    end.

%% What runs in a process of its own to make the bytes of a snapshot.
-spec make(#state{}) -> fun(() -> binary()).
make(#state{name = Name, callback = Callback}) ->
    fun() ->
        case Callback:replica_full_sync_snapshot(Name) of
            {sync, Snapshot} -> iolist_to_binary(barrel_p2p_payload:encode(Name, Snapshot));
            empty -> <<>>
        end
    end.

-spec made({snapshot, binary()} | {failed, term()}, #state{}) -> #state{}.
made({snapshot, _}, State) -> count(snapshots_given, State);
made({failed, Reason}, State) -> failed(replica_full_sync_snapshot, Reason, State).

-spec sweep_later(#state{}) -> #state{}.
sweep_later(#state{serve = Serve, sweeping = Sweeping} = State) ->
    case Sweeping orelse barrel_p2p_replica_serve:is_idle(Serve) of
        true -> State;
        false -> _ = erlang:start_timer(?SWEEP_MS, self(), sweep), State#state{sweeping = true}
    end.

%% Callbacks.

-spec call(atom(), [term()], #state{}) -> #state{}.
call(Function, Arguments, #state{name = Name, callback = Callback} = State) ->
    try
        _ = apply(Callback, Function, [Name | Arguments]),
        State
    catch
        _:Reason -> failed(Function, Reason, State)
    end.

%% The first failure of an instance is logged, all are counted.
-spec failed(atom(), term(), #state{}) -> #state{}.
failed(Function, Reason, #state{name = Name, callback = Callback, counters = Counters} = State) ->
    _ = is_map_key(callback_failures, Counters)
        orelse barrel_p2p_log:report(error, #{event => callback_failed, name => Name, callback => {Callback, Function}, reason => Reason}),
    count(callback_failures, State).

-spec count(counter(), #state{}) -> #state{}.
count(Counter, #state{counters = Counters} = State) ->
    State#state{counters = maps:update_with(Counter, fun(N) -> N + 1 end, 1, Counters)}.

-spec exports(module(), replica_anti_entropy | replica_merge_custom, 0 | 2) -> boolean().
exports(Module, Function, Arity) ->
    {module, Module} =:= code:ensure_loaded(Module) andalso erlang:function_exported(Module, Function, Arity).
