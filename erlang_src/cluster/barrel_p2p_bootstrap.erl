%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_bootstrap).
-moduledoc """
Joins the contacts of the configuration whenever this node has no neighbour, until one lets it in. Without contacts there is nothing to run.

Contacts are tried in random order, a few at a time, so that neither a long list nor many nodes that start together burden anyone. After
`barrel_p2p:leave/0` the node stays alone until somebody joins it again.
""".

-behaviour(gen_server).
-export([start_link/0, wake/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

%% Was the failure of a whole round logged since the last success?
-record(state, {contacts :: [barrel_p2p_config_schema:contact(), ...], complained = false :: boolean()}).

%% How long one attempt may take: a dial and the answer to the join.
-define(ATTEMPT_MS, 6_000).

-spec start_link() -> gen_server:start_ret() | ignore.
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% The engine has just started.
-spec wake() -> ok.
wake() ->
    gen_server:cast(?MODULE, wake).

-spec init([]) -> {ok, #state{}, 0} | ignore.
init([]) ->
    case barrel_p2p_config:get(contact_nodes) of
        [] -> ignore;
        Contacts -> {ok, #state{contacts = Contacts}, 0}
    end.

-spec handle_call(term(), gen_server:from(), #state{}) -> {noreply, #state{}, non_neg_integer()}.
handle_call(_Request, _From, State) ->
    {noreply, State, 0}.

-spec handle_cast(wake, #state{}) -> {noreply, #state{}, pos_integer()}.
handle_cast(wake, State) ->
    tried(State).

%% Anything else is a late answer to a join.
-spec handle_info(term(), #state{}) -> {noreply, #state{}, non_neg_integer()}.
handle_info(timeout, State) ->
    tried(State);
handle_info(_Late, State) ->
    {noreply, State, barrel_p2p_config:get(contact_retry_ms)}.

-spec tried(#state{}) -> {noreply, #state{}, pos_integer()}.
tried(State) ->
    {noreply, tried(barrel_p2p_membership:is_alone(), State), barrel_p2p_config:get(contact_retry_ms)}.

-spec tried(Alone :: boolean(), #state{}) -> #state{}.
tried(false, State) ->
    State#state{complained = false};
tried(true, #state{contacts = Contacts} = State) ->
    Own = atom_to_binary(node()),
    Targets = lists:append([barrel_p2p_join:targets(Contact) || {Name, _} = Contact <- Contacts, Name =/= Own]),
    outcome(one_of(shuffled(Targets), [no_address]), length(Targets), State).

%% A handful at a time; the next handful when none of them let us in.
-spec one_of([barrel_p2p_join:attempt()], [atom()]) -> ok | {error, [atom()]}.
one_of([], Reasons) ->
    {error, Reasons};
one_of(Targets, _) ->
    {Now, Later} = lists:split(min(length(Targets), barrel_p2p_config:get(active_size)), Targets),
    case barrel_p2p_join:any(Now, ?ATTEMPT_MS) of
        ok -> ok;
        {error, Reasons} -> one_of(Later, Reasons)
    end.

-spec outcome(ok | {error, [atom()]}, non_neg_integer(), #state{}) -> #state{}.
outcome({error, Reasons}, Count, #state{complained = false} = State) when Count > 0 ->
    barrel_p2p_log:report(notice, #{event => contacts_failed, contacts => Count, reasons => Reasons}),
    State#state{complained = true};
outcome(_, _, State) ->
    State.

-spec shuffled([Target]) -> [Target].
shuffled(Targets) ->
    [Target || {_, Target} <- lists:sort([{rand:uniform(), Target} || Target <- Targets])].
