%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_service_events).
-moduledoc """
Who hears of services, and of which ones.

Subscribers get `{barrel_p2p_service_event, Event}`. A process has one subscription: subscribing again replaces its filter. Subscriptions stand in a
table that belongs to a supervisor and are filed by what they ask for, so `notify/1`, which runs in the process that has something to say, looks
only at those that may match. This server adds, removes and watches; when it starts again it watches everyone in the table anew.
""".

-behaviour(gen_server).
-export([new_table/0, start_link/0, notify/1, subscribe/1, subscribe/2, unsubscribe/1]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).
-export_type([event/0, filter/0]).

%% service_down: the process died on this node, with its reason (`noproc`: before it was watched), or the node went: `nodedown` or `left`. That a
%% process died on another node is told there; here its registration has ended, which is service_unregistered.
-type event() :: {service_registered | service_unregistered, Name :: term(), node()} | {service_down, Name :: term(), node(), Reason :: term()}.
%% pattern: a regular expression (PCRE) that is looked for in the name as text.
-type filter() :: all | {name, Name :: term()} | {pattern, Regex :: unicode:chardata()}.
-type row() :: {all | pattern | {name, term()}, pid(), all | tuple()}.
-type subscribers() :: #{pid() => {reference(), row()}}.

%% Enough for sensible patterns on sensible names; keeps one that is neither from holding up the registry.
-define(MATCH_LIMIT, 100_000).

%% The caller becomes the owner of the subscriptions.
-spec new_table() -> ok.
new_table() ->
    ?MODULE = ets:new(?MODULE, [duplicate_bag, public, named_table, {read_concurrency, true}]),
    ok.

-spec start_link() -> gen_server:start_ret().
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

-spec notify(event()) -> ok.
notify(Event) ->
    case ets:info(?MODULE, size) of
        0 -> ok;
        _ -> tell(Event, element(2, Event))
    end.

-spec subscribe(pid()) -> ok | {error, {invalid_pattern, Reason :: term()}}.
subscribe(Pid) ->
    subscribe(Pid, all).

%% From when this returns Pid hears of every event that the filter lets through.
-spec subscribe(pid(), filter()) -> ok | {error, {invalid_pattern, Reason :: term()}}.
subscribe(Pid, Filter) when is_pid(Pid) ->
    case row(Pid, Filter) of
        {ok, Row} -> gen_server:call(?MODULE, {subscribe, Pid, Row});
        {error, _} = Error -> Error
    end.

-spec unsubscribe(pid()) -> ok.
unsubscribe(Pid) when is_pid(Pid) ->
    gen_server:call(?MODULE, {unsubscribe, Pid}).

-spec init([]) -> {ok, subscribers()}.
init([]) ->
    {ok, maps:from_list([{Pid, {monitor(process, Pid), Row}} || {_, Pid, _} = Row <- ets:tab2list(?MODULE)])}.

-spec handle_call({subscribe, pid(), row()} | {unsubscribe, pid()}, gen_server:from(), subscribers()) -> {reply, ok, subscribers()}.
handle_call({subscribe, Pid, Row}, _From, Subscribers) ->
    Others = removed(Pid, Subscribers),
    true = ets:insert(?MODULE, Row),
    {reply, ok, Others#{Pid => {monitor(process, Pid), Row}}};
handle_call({unsubscribe, Pid}, _From, Subscribers) ->
    {reply, ok, removed(Pid, Subscribers)}.

-spec handle_cast(term(), subscribers()) -> {noreply, subscribers()}.
handle_cast(_Message, Subscribers) ->
    {noreply, Subscribers}.

-spec handle_info(term(), subscribers()) -> {noreply, subscribers()}.
handle_info({'DOWN', _, process, Pid, _}, Subscribers) ->
    {noreply, removed(Pid, Subscribers)};
handle_info(_Other, Subscribers) ->
    {noreply, Subscribers}.

-spec removed(pid(), subscribers()) -> subscribers().
removed(Pid, Subscribers) ->
    case maps:take(Pid, Subscribers) of
        {{Monitor, Row}, Others} ->
            true = demonitor(Monitor, [flush]),
            true = ets:delete_object(?MODULE, Row),
            Others;
        error ->
            Subscribers
    end.

-spec row(pid(), filter()) -> {ok, row()} | {error, {invalid_pattern, term()}}.
row(Pid, all) -> {ok, {all, Pid, all}};
row(Pid, {name, _} = Filter) -> {ok, {Filter, Pid, all}};
row(Pid, {pattern, Regex}) ->
    try re:compile(Regex, [unicode]) of
        {ok, Compiled} -> {ok, {pattern, Pid, Compiled}};
        {error, Reason} -> {error, {invalid_pattern, Reason}}
    catch
        error:badarg -> {error, {invalid_pattern, not_text}}
    end;
row(Pid, Filter) ->
    error(badarg, [Pid, Filter]).

-spec tell(event(), Name :: term()) -> ok.
tell(Event, Name) ->
    Told = [Pid || Topic <- [all, {name, Name}], {_, Pid, _} <- ets:lookup(?MODULE, Topic)],
    Matching = case ets:lookup(?MODULE, pattern) of
                   [] -> [];
                   Patterns -> matching(text(Name), Patterns)
               end,
    lists:foreach(fun(Pid) -> Pid ! {barrel_p2p_service_event, Event} end, Told ++ Matching).

-spec matching(binary(), [row()]) -> [pid()].
matching(Text, Patterns) ->
    [Pid || {_, Pid, Compiled} <- Patterns, re:run(Text, Compiled, [{capture, none}, {match_limit, ?MATCH_LIMIT}]) =:= match].

%% Atoms, strings and text in binaries stand for themselves, other terms for how they are printed.
-spec text(term()) -> binary().
text(Name) when is_atom(Name) ->
    atom_to_binary(Name);
text(Name) when is_binary(Name); is_list(Name), Name =/= [] ->
    try unicode:characters_to_binary(Name) of
        Text when is_binary(Text) -> Text;
        _ -> printed(Name)
    catch
        error:badarg -> printed(Name)
    end;
text(Name) ->
    printed(Name).

-spec printed(term()) -> binary().
printed(Name) ->
    unicode:characters_to_binary(io_lib:format("~0tp", [Name])).
