%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_membership).
-moduledoc """
The process that the gossip engine lives for: it starts the engine, hears its events and passes them on to subscribers.

The engine runs while this node is distributed and listens; it is started again whenever distribution is, and on a node without
distribution there is none.

Keeps: each transition is told once. Who was announced as neighbour stands in a table that belongs to the supervisor, so after a crash of this
process the successor first says that they are gone, which is true since the engine ends with its process, and then goes back to them.
""".

-behaviour(gen_server).
-export([new_table/0, start_link/0, join/1, join/2, leave/0, is_alone/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2, terminate/2]).

-type state() :: none | barrel_p2p_nif:gossip().
%% The neighbours as announced, with where they listen; `left` while the application wants to be alone.
-type neighbour() :: {Node :: binary(), [{Host :: binary(), inet:port_number()}]}.

%% How long going back to former neighbours may take.
-define(REJOIN_MS, 10_000).
%% How long the end of the application may wait for the engine to say goodbye.
-define(GOODBYE_MS, 1_000).

%% The caller becomes the owner of what must survive this process.
-spec new_table() -> ok.
new_table() ->
    ?MODULE = ets:new(?MODULE, [public, named_table]),
    ok.

-spec start_link() -> gen_server:start_ret().
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

-spec join(barrel_p2p_join:target()) -> ok | {error, barrel_p2p_join:reason()}.
join(Target) ->
    wanted(barrel_p2p_join:start(Target)).

-spec join(barrel_p2p_join:target(), TimeoutMs :: pos_integer()) -> ok | {error, barrel_p2p_join:reason()}.
join(Target, Timeout) ->
    wanted(barrel_p2p_join:run(Target, Timeout)).

%% Says goodbye. The contacts of the configuration are not tried again until the next join.
-spec leave() -> ok.
leave() ->
    true = ets:insert(?MODULE, {left}),
    case barrel_p2p_gossip:handle() of
        {ok, _} -> barrel_p2p_gossip:command(fun barrel_p2p_nif:gossip_leave/1);
        {error, not_distributed} -> publish(left)
    end.

%% Without a neighbour, although it could and should have one.
-spec is_alone() -> boolean().
is_alone() ->
    element(1, barrel_p2p_gossip:handle()) =:= ok andalso barrel_p2p_gossip:active_view() =:= [] andalso not ets:member(?MODULE, left).

%% Whoever has started the application may join at once, so the engine is there when this returns.
-spec init([]) -> {ok, state()}.
init([]) ->
    process_flag(trap_exit, true),
    %% Tells of this node as well: when distribution starts and when it stops.
    ok = net_kernel:monitor_nodes(true, [{node_type, all}]),
    {ok, begin_anew()}.

-spec handle_call(term(), gen_server:from(), state()) -> {noreply, state()}.
handle_call(_Request, _From, State) ->
    {noreply, State}.

-spec handle_cast(term(), state()) -> {noreply, state()}.
handle_cast(_Message, State) ->
    {noreply, State}.

-spec handle_info(term(), state()) -> {noreply, state()} | {stop, gossip_stopped, none}.
handle_info({barrel_p2p_gossip, Gossip, Events}, Gossip) ->
    lists:foreach(fun told/1, Events),
    ok = barrel_p2p_nif:gossip_ack(Gossip, length(Events)),
    {noreply, Gossip};
handle_info({barrel_p2p_gossip_stopped, Gossip}, Gossip) ->
    %% With distribution that is as it should be. By itself it is a failure, and how many of them are too many is for the supervisor to say.
    case barrel_p2p_dist:listen_port() of
        undefined -> {noreply, begin_anew()};
        {ok, _} -> {stop, gossip_stopped, none}
    end;
handle_info({nodeup, Node, _}, none) when Node =:= node() ->
    true = ets:delete(?MODULE, left),
    {noreply, begin_anew()};
handle_info(_Other, State) ->
    {noreply, State}.

%% Whoever stops the application leaves the cluster; a crash is no farewell.
-spec terminate(term(), state()) -> ok.
terminate(shutdown, Gossip) when Gossip =/= none ->
    ok = barrel_p2p_gossip:command(fun barrel_p2p_nif:gossip_leave/1),
    ok = until_left(Gossip),
    barrel_p2p_gossip:stop();
terminate(_Reason, _State) ->
    barrel_p2p_gossip:stop().

%% The engine has said goodbye when it says that it has left; stopped before, it would not.
-spec until_left(barrel_p2p_nif:gossip()) -> ok.
until_left(Gossip) ->
    receive
        {barrel_p2p_gossip, Gossip, Events} ->
            lists:foreach(fun told/1, Events),
            ok = barrel_p2p_nif:gossip_ack(Gossip, length(Events)),
            case lists:member(left, Events) of
                true -> ok;
                false -> until_left(Gossip)
            end
    after ?GOODBYE_MS -> ok
    end.

%% Whoever joins does not want to be alone any more.
-spec wanted(ok | {error, barrel_p2p_join:reason()}) -> ok | {error, barrel_p2p_join:reason()}.
wanted(ok) ->
    true = ets:delete(?MODULE, left),
    ok;
wanted({error, _} = Error) ->
    Error.

%% A new engine knows nobody, so the neighbours of the old one are gone, and are where to go back to.
-spec begin_anew() -> state().
begin_anew() ->
    ok = barrel_p2p_gossip:stop(),
    Former = [Neighbour || {_, _} = Neighbour <- ets:tab2list(?MODULE)],
    lists:foreach(fun({Name, _}) -> told({peer_down, Name, nodedown}) end, Former),
    case start_engine() of
        {ok, Gossip} -> rejoin(Former), barrel_p2p_bootstrap:wake(), Gossip;
        none -> none
    end.

%% A node that nobody can dial cannot be a member.
-spec start_engine() -> {ok, barrel_p2p_nif:gossip()} | none.
start_engine() ->
    case barrel_p2p_dist:listen_port() =/= undefined andalso barrel_p2p_gossip:start(self()) of
        {ok, Gossip} -> {ok, Gossip};
        false -> none;
        {error, {not_started, _}} -> none;
        {error, Error} -> barrel_p2p_log:report(error, #{event => gossip_failed, text => barrel_p2p_native:format_error(Error)}), none
    end.

-spec rejoin([neighbour()]) -> ok.
rejoin([]) ->
    ok;
rejoin(Former) ->
    Attempts = [#{node => Name, addresses => Addresses} || {Name, [_ | _] = Addresses} <- Former],
    _ = spawn(fun() -> barrel_p2p_join:any(Attempts, ?REJOIN_MS) end),
    ok.

-spec told(barrel_p2p_nif:gossip_event()) -> ok.
told({peer_up, Name}) ->
    true = ets:insert(?MODULE, {Name, addresses(Name)}),
    publish({peer_up, binary_to_atom(Name)});
told({peer_down, Name, Reason}) ->
    true = ets:delete(?MODULE, Name),
    publish({peer_down, binary_to_atom(Name), Reason});
told(Event) when Event =:= joined; Event =:= left ->
    publish(Event);
told({member_up, Name}) ->
    barrel_p2p_events:publish(members, {barrel_p2p_member, binary_to_atom(Name), up});
told({member_down, Name, State}) ->
    barrel_p2p_events:publish(members, {barrel_p2p_member, binary_to_atom(Name), State});
told({broadcast, Payload}) ->
    accepted(barrel_p2p_plumtree:deliver(Payload), unknown);
told({direct, From, Payload}) ->
    accepted(barrel_p2p_direct:deliver(binary_to_atom(From), Payload), binary_to_atom(From)).

-spec publish(joined | left | {peer_up, node()} | {peer_down, node(), atom()}) -> ok.
publish(Event) ->
    barrel_p2p_events:publish(view, {barrel_p2p_event, Event}).

-spec addresses(binary()) -> [{binary(), inet:port_number()}].
addresses(Name) ->
    case barrel_p2p_gossip:addresses(Name) of
        {_, Addresses} -> Addresses;
        unknown -> []
    end.

-spec accepted(ok | {error, malformed}, node() | unknown) -> ok.
accepted(ok, _From) ->
    ok;
accepted({error, malformed}, From) ->
    Key = {?MODULE, complained},
    _ = persistent_term:get(Key, false) orelse
        begin
            persistent_term:put(Key, true),
            barrel_p2p_log:report(warning, #{event => malformed_payload, from => From})
        end,
    ok.
