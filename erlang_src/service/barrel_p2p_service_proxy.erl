%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_service_proxy).
-moduledoc """
Stands on this node for a service on another one: what it is sent goes to the process that is registered there.

Calls, casts and other messages reach the service in the order in which the proxy got them, and a call waits for nobody: any number of them may be
outstanding. A call is answered with what the service says, or after ten seconds with `{error, timeout}`, at once with `{error, node_down}` when the
connection to the node or the node itself is lost, and with `{error, service_not_found}` when the service ends.

The proxy ends with the registration that it stands for. While the way to the node is not open, because it has to be connected first or too much
waits to be sent there, calls wait within their time, and of other messages `proxy_cast_max_in_flight` do; the rest is dropped and counted.
""".

-behaviour(gen_server).
-export([start_link/2, retarget/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-include("barrel_p2p.hrl").

-type message() :: {call, Alias :: reference(), Request :: term()} | {other, Message :: term()}.

-record(state, {
    name :: term(),
    node :: node(),
    pid :: pid(),
    %% none: nothing was sent since the last connection to the node was lost.
    monitor = none :: none | reference(),
    calls = #{} :: #{Alias :: reference() => {gen_server:from(), Timer :: reference()}},
    %% What waits for the way to be open, newest first, and how many of these are no calls.
    waiting = [] :: [message()],
    casts = 0 :: non_neg_integer(),
    %% Who opens it: a process that connects, or a timer.
    opening = none :: none | reference()
}).

-define(CALL_MS, 10_000).
%% How often it is tried again to send to a node to which too much waits to be sent.
-define(BUSY_MS, 10).

-spec start_link(Name :: term(), node()) -> {ok, pid()} | {error, already_started | not_found}.
start_link(Name, Node) ->
    case gen_server:start_link(?MODULE, {Name, Node}, []) of
        {ok, Pid} -> {ok, Pid};
        {error, {shutdown, Reason}} -> {error, Reason}
    end.

%% Makes the proxy stand for the service of its name on that node. Calls that are outstanding are still answered.
-spec retarget(pid(), node()) -> ok | {error, not_found} | gone.
retarget(Proxy, Node) ->
    try gen_server:call(Proxy, {?MODULE, retarget, Node}, infinity)
    catch exit:_ -> gone
    end.

-spec init({Name :: term(), node()}) -> {ok, #state{}} | {stop, {shutdown, already_started | not_found}}.
init({Name, Node}) ->
    ok = barrel_p2p_service_events:subscribe(self(), {name, Name}),
    case barrel_p2p_registry:entry(Name, Node) of
        {ok, #service_entry{pid = Pid}} ->
            case barrel_p2p_proxy_sup:enter(Name) of
                ok -> {ok, #state{name = Name, node = Node, pid = Pid}};
                already_started -> {stop, {shutdown, already_started}}
            end;
        {error, not_found} ->
            {stop, {shutdown, not_found}}
    end.

-spec handle_call(term(), gen_server:from(), #state{}) -> {noreply, #state{}} | {reply, ok | {error, not_found}, #state{}}.
handle_call({?MODULE, retarget, Node}, _From, #state{node = Node} = State) ->
    {reply, ok, State};
handle_call({?MODULE, retarget, Node}, _From, #state{name = Name} = State) ->
    case barrel_p2p_registry:entry(Name, Node) of
        {ok, #service_entry{pid = Pid}} -> {reply, ok, unwatched(State#state{node = Node, pid = Pid})};
        {error, not_found} -> {reply, {error, not_found}, State}
    end;
handle_call(Request, From, #state{calls = Calls} = State) ->
    Alias = alias([reply]),
    Timer = erlang:start_timer(?CALL_MS, self(), {?MODULE, Alias}),
    {noreply, passed({call, Alias, Request}, State#state{calls = Calls#{Alias => {From, Timer}}})}.

-spec handle_cast(term(), #state{}) -> {noreply, #state{}}.
handle_cast(Message, State) ->
    {noreply, passed({other, {'$gen_cast', Message}}, State)}.

-spec handle_info(term(), #state{}) -> {noreply, #state{}} | {stop, normal, #state{}}.
handle_info({[alias | Alias], Reply}, #state{calls = Calls} = State) when is_map_key(Alias, Calls) ->
    {noreply, answered(Alias, Reply, State)};
handle_info({timeout, Timer, {?MODULE, Alias}}, #state{calls = Calls} = State) ->
    case Calls of
        #{Alias := {_, Timer}} -> {noreply, answered(Alias, {error, timeout}, State)};
        #{} -> {noreply, State}
    end;
handle_info({timeout, Opening, ?MODULE}, #state{opening = Opening} = State) ->
    {noreply, opened(State)};
handle_info({'DOWN', Opening, process, _, Result}, #state{opening = Opening} = State) ->
    case Result of
        normal -> {noreply, opened(State)};
        _ -> {noreply, all_answered({error, node_down}, State#state{opening = none, waiting = [], casts = 0})}
    end;
handle_info({'DOWN', Monitor, process, _, noconnection}, #state{monitor = Monitor} = State) ->
    %% The channel is lost, be it that it was idle for long. Whether the node is, the registry tells.
    {noreply, all_answered({error, node_down}, State#state{monitor = none})};
handle_info({'DOWN', Monitor, process, _, _}, #state{monitor = Monitor} = State) ->
    {stop, normal, all_answered({error, service_not_found}, State)};
handle_info({barrel_p2p_service_event, Event}, #state{name = Name, node = Node, pid = Pid} = State) ->
    case barrel_p2p_registry:entry(Name, Node) of
        {ok, #service_entry{pid = Pid}} -> {noreply, State};
        _ -> {stop, normal, all_answered({error, why(Event, Node)}, State)}
    end;
handle_info(Message, State) ->
    {noreply, passed({other, Message}, State)}.

-spec why(barrel_p2p_service_events:event(), node()) -> node_down | service_not_found.
why({service_down, _, Node, Reason}, Node) when Reason =:= nodedown; Reason =:= left -> node_down;
why(_, _) -> service_not_found.

-spec passed(message(), #state{}) -> #state{}.
passed(Message, #state{opening = none, pid = Pid} = State) ->
    case erlang:send(Pid, to_send(Message), [nosuspend, noconnect]) of
        ok -> watched(State);
        Closed -> waits(Message, State#state{opening = open(Closed, State)})
    end;
passed(Message, State) ->
    waits(Message, State).

-spec to_send(message()) -> term().
to_send({call, Alias, Request}) -> {'$gen_call', {self(), [alias | Alias]}, Request};
to_send({other, Message}) -> Message.

-spec waits(message(), #state{}) -> #state{}.
waits({call, _, _} = Call, #state{waiting = Waiting} = State) ->
    State#state{waiting = [Call | Waiting]};
waits(Message, #state{waiting = Waiting, casts = Casts} = State) ->
    case Casts < barrel_p2p_config:get(proxy_cast_max_in_flight) of
        true ->
            State#state{waiting = [Message | Waiting], casts = Casts + 1};
        false ->
            ok = barrel_p2p_service_stats:add(cast_dropped),
            State
    end.

%% Connecting takes its time, so another process does it.
-spec open(noconnect | nosuspend, #state{}) -> reference().
open(nosuspend, _State) ->
    erlang:start_timer(?BUSY_MS, self(), ?MODULE);
open(noconnect, #state{pid = Pid}) ->
    Node = node(Pid),
    {_, Monitor} = spawn_monitor(fun() -> net_kernel:connect_node(Node) =:= true orelse exit(unreachable) end),
    Monitor.

%% Sends what has waited, as far as it goes. Calls that were given up meanwhile are left out.
-spec opened(#state{}) -> #state{}.
opened(#state{waiting = Waiting} = State) ->
    lists:foldl(fun({call, Alias, _}, #state{calls = Calls} = Now) when not is_map_key(Alias, Calls) -> Now;
                   (Message, Now) -> passed(Message, Now)
                end, State#state{opening = none, waiting = [], casts = 0}, lists:reverse(Waiting)).

-spec watched(#state{}) -> #state{}.
watched(#state{monitor = none, pid = Pid} = State) -> State#state{monitor = monitor(process, Pid)};
watched(State) -> State.

-spec unwatched(#state{}) -> #state{}.
unwatched(#state{monitor = none} = State) ->
    State;
unwatched(#state{monitor = Monitor} = State) ->
    true = demonitor(Monitor, [flush]),
    State#state{monitor = none}.

-spec answered(Alias :: reference(), Reply :: term(), #state{}) -> #state{}.
answered(Alias, Reply, #state{calls = Calls} = State) ->
    {{From, Timer}, Others} = maps:take(Alias, Calls),
    _ = unalias(Alias),
    _ = erlang:cancel_timer(Timer),
    gen_server:reply(From, Reply),
    State#state{calls = Others}.

-spec all_answered(Reply :: term(), #state{}) -> #state{}.
all_answered(Reply, #state{calls = Calls} = State) ->
    lists:foldl(fun(Alias, Now) -> answered(Alias, Reply, Now) end, State, maps:keys(Calls)).
