%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_events).
-moduledoc """
Who hears of what: subscriptions by topic, and the way a message gets to all subscribers of one.

Keeps: a subscriber is told until it unsubscribes or dies, whatever crashes in between. The subscriptions stand in a table that belongs to the
supervisor, `publish/2` runs in the process that has something to say, and this server only adds, removes and watches; when it starts again it watches
everyone in the table anew. Leaves to others: what the messages look like.
""".

-behaviour(gen_server).
-export([new_table/0, start_link/0, subscribe/2, unsubscribe/2, forget/1, publish/2]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).
-export_type([topic/0]).

%% view: {barrel_p2p_event, Event} about the own neighbours. members: {barrel_p2p_member, Node, up | down | left} about the cluster.
%% broadcast, or {broadcast, Tag} for those of one tag: {plumtree_broadcast, {Tag, Payload}}. {direct, Tag}: {barrel_p2p_direct, From, Tag, Payload}.
%% {map, Name}: {barrel_p2p_map, Name, {put, Key, Value} | {remove, Key}}.
-type topic() :: view | members | broadcast | {broadcast | direct, Tag :: term()} | {map, Name :: atom()}.
-type monitors() :: #{pid() => reference()}.

%% The caller becomes the owner of the subscriptions.
-spec new_table() -> ok.
new_table() ->
    ?MODULE = ets:new(?MODULE, [bag, public, named_table, {read_concurrency, true}]),
    ok.

-spec start_link() -> gen_server:start_ret().
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% From when this returns Pid gets every message of the topic, once however often it subscribed.
-spec subscribe(topic(), pid()) -> ok.
subscribe(Topic, Pid) when is_pid(Pid) ->
    gen_server:call(?MODULE, {subscribe, Topic, Pid}).

-spec unsubscribe(topic(), pid()) -> ok.
unsubscribe(Topic, Pid) when is_pid(Pid) ->
    gen_server:call(?MODULE, {unsubscribe, Topic, Pid}).

%% Nobody is subscribed to the topic any more.
-spec forget(topic()) -> ok.
forget(Topic) ->
    gen_server:call(?MODULE, {forget, Topic}).

%% Nobody hears anything while the application does not run.
-spec publish(topic(), Message :: term()) -> ok.
publish(Topic, Message) ->
    try ets:lookup(?MODULE, Topic) of
        Subscriptions -> lists:foreach(fun({_, Pid}) -> Pid ! Message end, Subscriptions)
    catch
        error:badarg -> ok
    end.

-spec init([]) -> {ok, monitors()}.
init([]) ->
    Pids = lists:usort([Pid || {_, Pid} <- ets:tab2list(?MODULE)]),
    {ok, maps:from_list([{Pid, monitor(process, Pid)} || Pid <- Pids])}.

-spec handle_call({subscribe | unsubscribe, topic(), pid()} | {forget, topic()}, gen_server:from(), monitors()) -> {reply, ok, monitors()}.
handle_call({subscribe, Topic, Pid}, _From, Monitors) ->
    true = ets:insert(?MODULE, {Topic, Pid}),
    {reply, ok, watched(Pid, Monitors)};
handle_call({unsubscribe, Topic, Pid}, _From, Monitors) ->
    true = ets:delete_object(?MODULE, {Topic, Pid}),
    {reply, ok, released(Pid, Monitors)};
handle_call({forget, Topic}, _From, Monitors) ->
    Gone = ets:take(?MODULE, Topic),
    {reply, ok, lists:foldl(fun({_, Pid}, Rest) -> released(Pid, Rest) end, Monitors, Gone)}.

-spec handle_cast(term(), monitors()) -> {noreply, monitors()}.
handle_cast(_Message, Monitors) ->
    {noreply, Monitors}.

-spec handle_info({'DOWN', reference(), process, pid(), term()}, monitors()) -> {noreply, monitors()}.
handle_info({'DOWN', _, process, Pid, _}, Monitors) ->
    true = ets:match_delete(?MODULE, {'_', Pid}),
    {noreply, maps:remove(Pid, Monitors)}.

-spec watched(pid(), monitors()) -> monitors().
watched(Pid, Monitors) when is_map_key(Pid, Monitors) -> Monitors;
watched(Pid, Monitors) -> Monitors#{Pid => monitor(process, Pid)}.

-spec released(pid(), monitors()) -> monitors().
released(Pid, Monitors) ->
    case {ets:match(?MODULE, {'$1', Pid}, 1), Monitors} of
        {'$end_of_table', #{Pid := Monitor}} ->
            true = demonitor(Monitor, [flush]),
            maps:remove(Pid, Monitors);
        _ ->
            Monitors
    end.
