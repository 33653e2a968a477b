%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_router).
-moduledoc """
Asks other nodes for a service that this one does not know.

The registry brings every registration to every node, so this is for the short time before: a query goes to all neighbours at once, and from each of
them that does not know either to two more that were not asked yet, a few steps far. The answer comes back the same way. A node remembers at most
`router_max_in_flight` queries, its own ones included, and answers further ones with `overloaded`.

Keeps: a query ends by its deadline, whatever others do; it costs a bounded number of messages, however large the cluster; and what comes late
ends here, never in the mailbox of the process that asked.
""".

-behaviour(gen_server).
-export([start_link/0, find_service/1, find_route/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-type answer() :: {found, node(), pid()} | {error, not_found | ttl_expired | timeout | overloaded}.
-type asker() :: {caller, gen_server:from()} | {node, node(), Id :: reference()}.
%% Who waits for the answer, whom it can still come from, what to say if nobody knows.
-type query() :: {asker(), Asked :: [node()], Failure :: answer(), Timer :: reference()}.
-type state() :: #{Id :: reference() => query()}.

%% As far as a query goes, and how many a node that does not know passes it on to: together at most 155 messages from five neighbours.
-define(TTL, 5).
-define(FAN_OUT, 2).
-define(DEADLINE_MS, 500).
%% How much longer the caller waits than this process lets it.
-define(GRACE_MS, 1_000).
%% More than TTL steps can name, with a large active view.
-define(MAX_VISITED, 256).

-spec start_link() -> gen_server:start_ret().
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% Looks here, then asks. Returns within half a second.
-spec find_service(Name :: term()) -> answer().
find_service(Name) ->
    case barrel_p2p_registry_table:find(Name) of
        {local, Pid} ->
            {found, node(), Pid};
        {Node, Pid} ->
            {found, Node, Pid};
        none ->
            try gen_server:call(?MODULE, {find, Name}, ?DEADLINE_MS + ?GRACE_MS)
            catch exit:_ -> {error, timeout}
            end
    end.

%% Where a message for the node goes first. Every member can be reached directly; for others some neighbour may know more.
-spec find_route(node()) -> {direct, node()} | {via, node()} | no_route.
find_route(Node) when Node =:= node() ->
    {direct, Node};
find_route(Node) ->
    case {barrel_p2p_gossip:life(Node), barrel_p2p_gossip:active_view()} of
        {{alive, _}, _} -> {direct, Node};
        {gone, []} -> no_route;
        {gone, View} -> {via, lists:nth(rand:uniform(length(View)), View)}
    end.

-spec init([]) -> {ok, #{}}.
init([]) ->
    ok = barrel_p2p_direct:subscribe(?MODULE, self()),
    {ok, #{}}.

-spec handle_call({find, Name :: term()}, gen_server:from(), state()) -> {noreply, state()}.
handle_call({find, Name}, From, State) ->
    Peers = barrel_p2p_gossip:active_view(),
    {noreply, asked({caller, From}, {Name, ?TTL, [node() | Peers], ?DEADLINE_MS}, Peers, State)}.

-spec handle_cast(term(), state()) -> {noreply, state()}.
handle_cast(_Message, State) ->
    {noreply, State}.

-spec handle_info(term(), state()) -> {noreply, state()}.
handle_info({barrel_p2p_direct, From, ?MODULE, {find, Id, Name, Ttl, Visited, DeadlineMs}}, State) ->
    case is_query(Id, Ttl, Visited, DeadlineMs) of
        true -> {noreply, queried({node, From, Id}, {Name, min(Ttl, ?TTL), Visited, min(DeadlineMs, ?DEADLINE_MS)}, State)};
        false -> {noreply, State}
    end;
handle_info({barrel_p2p_direct, From, ?MODULE, {answer, Id, Answer}}, State) ->
    case State of
        #{Id := {_, Asked, _, _} = Query} ->
            case lists:member(From, Asked) andalso is_answer(Answer) of
                true -> {noreply, answered(Id, From, Answer, Query, State)};
                false -> {noreply, State}
            end;
        #{} ->
            {noreply, State}
    end;
handle_info({timeout, Timer, Id}, State) ->
    case State of
        #{Id := {Asker, _, _, Timer}} -> {noreply, ended(Id, Asker, {error, timeout}, State)};
        #{} -> {noreply, State}
    end;
handle_info(_Other, State) ->
    {noreply, State}.

-spec is_query(term(), term(), term(), term()) -> boolean().
is_query(Id, Ttl, Visited, DeadlineMs) ->
    is_reference(Id) andalso is_positive(Ttl) andalso is_positive(DeadlineMs) andalso is_short(Visited, ?MAX_VISITED).

-spec is_positive(term()) -> boolean().
is_positive(Number) -> is_integer(Number) andalso Number > 0.

-spec is_short(term(), 0..?MAX_VISITED) -> boolean().
is_short([], _) -> true;
is_short([Node | Rest], Left) when is_atom(Node), Left > 0 -> is_short(Rest, Left - 1);
is_short(_, _) -> false.

%% An answer of a peer is worth something if the node that it names is a member.
-spec is_answer(term()) -> boolean().
is_answer({found, Node, Pid}) -> is_atom(Node) andalso is_pid(Pid) andalso barrel_p2p_gossip:life(Node) =/= gone;
is_answer({error, Reason}) -> lists:member(Reason, [not_found, ttl_expired, timeout, overloaded]);
is_answer(_) -> false.

%% Another node asks.
-spec queried(asker(), {Name :: term(), Ttl :: pos_integer(), Visited :: [node()], DeadlineMs :: pos_integer()}, state()) -> state().
queried(Asker, {Name, Ttl, Visited, DeadlineMs}, State) ->
    case barrel_p2p_registry_table:find(Name) of
        {local, Pid} ->
            answer(Asker, {found, node(), Pid}, State);
        {Node, Pid} ->
            answer(Asker, {found, Node, Pid}, State);
        none when Ttl =:= 1 ->
            answer(Asker, {error, ttl_expired}, State);
        none ->
            Peers = lists:sublist(shuffled(barrel_p2p_gossip:active_view() -- Visited), ?FAN_OUT),
            asked(Asker, {Name, Ttl - 1, Visited ++ Peers, DeadlineMs}, Peers, State)
    end.

%% Sends the query on. Those that cannot be reached do not know.
-spec asked(asker(), {Name :: term(), pos_integer(), [node()], pos_integer()}, Peers :: [node()], state()) -> state().
asked(Asker, {Name, Ttl, Visited, DeadlineMs}, Peers, State) ->
    case map_size(State) < barrel_p2p_config:get(router_max_in_flight) of
        true ->
            Id = make_ref(),
            Message = {find, Id, Name, Ttl, lists:sublist(Visited, ?MAX_VISITED), DeadlineMs},
            case [Peer || Peer <- Peers, barrel_p2p_direct:send(Peer, ?MODULE, Message) =:= ok] of
                [] -> answer(Asker, {error, not_found}, State);
                Reached -> State#{Id => {Asker, Reached, {error, not_found}, erlang:start_timer(DeadlineMs, self(), Id)}}
            end;
        false ->
            ok = barrel_p2p_service_stats:add(request_dropped),
            answer(Asker, {error, overloaded}, State)
    end.

%% The first that knows decides; the others are only counted down.
-spec answered(Id :: reference(), From :: node(), answer(), query(), state()) -> state().
answered(Id, _From, {found, _, _} = Answer, {Asker, _, _, _}, State) ->
    ended(Id, Asker, Answer, State);
answered(Id, From, Answer, {Asker, Asked, Failure, Timer}, State) ->
    Worst = worst(Answer, Failure),
    case lists:delete(From, Asked) of
        [] -> ended(Id, Asker, Worst, State);
        Left -> State#{Id := {Asker, Left, Worst, Timer}}
    end.

%% That somebody could not look is worth more than that somebody did not find.
-spec worst(answer(), answer()) -> answer().
worst({error, not_found}, Failure) -> Failure;
worst(Answer, _) -> Answer.

-spec ended(Id :: reference(), asker(), answer(), state()) -> state().
ended(Id, Asker, Answer, State) ->
    #{Id := {_, _, _, Timer}} = State,
    _ = erlang:cancel_timer(Timer),
    answer(Asker, Answer, maps:remove(Id, State)).

-spec answer(asker(), answer(), state()) -> state().
answer({caller, From}, Answer, State) ->
    gen_server:reply(From, Answer),
    State;
answer({node, Node, Id}, Answer, State) ->
    _ = barrel_p2p_direct:send(Node, ?MODULE, {answer, Id, Answer}),
    State.

-spec shuffled([node()]) -> [node()].
shuffled(Nodes) ->
    [Node || {_, Node} <- lists:sort([{rand:uniform(), Node} || Node <- Nodes])].
