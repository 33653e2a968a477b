%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_dist_gc).
-moduledoc """
Closes dist channels that nobody uses.

Idle is a channel to a visible node over which no signal went in either direction for `dist_gc_min_age_ms`; ticks do not count. A channel to a
neighbour stays. Links and monitors across a closed channel fire with `noconnection`, as after any loss, and the next message opens it again.
""".

-behaviour(gen_server).
-export([start_link/0, sweep_now/0, get_age_ms/1, reaped/0]).
-export([init/1, handle_call/3, handle_cast/2, handle_info/2]).

-export_type([channel/0]).

%% One channel and what went over it: a new channel to the same node has another controller.
-type channel() :: {Controller :: pid(), Activity :: {Received :: non_neg_integer(), Sent :: non_neg_integer()}}.
%% Since when a channel looks as it does, and since when it is there.
-type seen() :: #{node() => {channel(), IdleSinceMs :: integer(), FirstSeenMs :: integer()}}.

-define(REAPED, {?MODULE, reaped}).

-spec start_link() -> gen_server:start_ret().
start_link() ->
    gen_server:start_link({local, ?MODULE}, ?MODULE, [], []).

%% Looks at all channels now instead of at the next turn. Returns when that is done.
-spec sweep_now() -> ok.
sweep_now() ->
    gen_server:call(?MODULE, sweep).

%% How long the channel to the node is known here.
-spec get_age_ms(node()) -> {ok, non_neg_integer()} | {error, not_found}.
get_age_ms(Node) ->
    gen_server:call(?MODULE, {age, Node}).

%% How many channels were closed since the virtual machine started.
-spec reaped() -> non_neg_integer().
reaped() ->
    counters:get(counter(), 1).

-spec init([]) -> {ok, seen()}.
init([]) ->
    {ok, looked_again(#{})}.

-spec handle_call(sweep | {age, node()}, gen_server:from(), seen()) -> {reply, ok | {ok, non_neg_integer()} | {error, not_found}, seen()}.
handle_call(sweep, _From, Seen) ->
    {reply, ok, swept(Seen)};
handle_call({age, Node}, _From, Seen) ->
    case Seen of
        #{Node := {_, _, First}} -> {reply, {ok, now_ms() - First}, Seen};
        #{} -> {reply, {error, not_found}, Seen}
    end.

-spec handle_cast(term(), seen()) -> {noreply, seen()}.
handle_cast(_Message, Seen) ->
    {noreply, Seen}.

-spec handle_info(sweep | term(), seen()) -> {noreply, seen()}.
handle_info(sweep, Seen) ->
    {noreply, looked_again(swept(Seen))};
handle_info(_Other, Seen) ->
    {noreply, Seen}.

-spec looked_again(seen()) -> seen().
looked_again(Seen) ->
    _ = erlang:send_after(barrel_p2p_config:get(dist_gc_sweep_period_ms), self(), sweep),
    Seen.

-spec swept(seen()) -> seen().
swept(Before) ->
    Now = now_ms(),
    Seen = maps:from_list([{Node, observed(Channel, maps:get(Node, Before, none), Now)} || {Node, Channel} <- channels()]),
    Kept = barrel_p2p_gossip:active_view(),
    Idle = [Node || {Node, {_, Since, _}} <- maps:to_list(Seen), Now - Since >= barrel_p2p_config:get(dist_gc_min_age_ms),
                    not lists:member(Node, Kept)],
    lists:foreach(fun reap/1, Idle),
    maps:without(Idle, Seen).

%% Every open channel of ours to a visible node.
-spec channels() -> [{node(), channel()}].
channels() ->
    Visible = nodes(),
    [{Node, {Controller, Activity}} || {Node, Controller} <- erlang:system_info(dist_ctrl), is_pid(Controller), lists:member(Node, Visible),
                                       {ok, Activity} <- [barrel_p2p_dist_ctrl:activity(Controller)]].

-spec observed(channel(), {channel(), integer(), integer()} | none, integer()) -> {channel(), integer(), integer()}.
observed(Channel, {Channel, Since, First}, _Now) -> {Channel, Since, First};
observed({Controller, _} = Channel, {{Controller, _}, _, First}, Now) -> {Channel, Now, First};
observed(Channel, _, Now) -> {Channel, Now, Now}.

-spec reap(node()) -> ok.
reap(Node) ->
    case erlang:disconnect_node(Node) of
        true -> counters:add(counter(), 1, 1);
        _ -> ok
    end.

%% Counts on over a crash of this process.
-spec counter() -> counters:counters_ref().
counter() ->
    case persistent_term:get(?REAPED, none) of
        none ->
            Counter = counters:new(1, []),
            persistent_term:put(?REAPED, Counter),
            Counter;
        Counter ->
            Counter
    end.

-spec now_ms() -> integer().
now_ms() ->
    erlang:monotonic_time(millisecond).
