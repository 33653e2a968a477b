%% SPDX-License-Identifier: Apache-2.0
-module(demo_inside).
-moduledoc """
What the nodes of the demo do: plain OTP calls, with a clock beside them. Times are microseconds.
""".

-include("barrel_p2p.hrl").

-export([connect/1, call_counter/2, remote_call/2, greet/1, join/1, hear_events/0, events/0, until_members/1, watch/1, seen_down/0, why/1, pins/0]).

-type micros() :: non_neg_integer().

-spec connect(node()) -> {boolean() | ignored, micros()}.
connect(Node) ->
    {Micros, Connected} = timer:tc(net_kernel, connect_node, [Node]),
    {Connected, Micros}.

%% Calls the counter on another node many times. The last answer, and the median time of a call.
-spec call_counter(node(), pos_integer()) -> {Count :: pos_integer(), micros()}.
call_counter(Node, Times) ->
    repeated(fun() -> demo_counter:increment({demo_counter, Node}) end, Times).

-spec remote_call(node(), pos_integer()) -> {node(), micros()}.
remote_call(Node, Times) ->
    repeated(fun() -> rpc:call(Node, erlang, node, []) end, Times).

%% Sends to a pid of another node and waits for what that process sends back.
-spec greet(pid()) -> {node(), micros()}.
greet(Pid) ->
    repeated(fun() ->
                 Pid ! {hello, self()},
                 receive {welcome, Node} -> Node after 5_000 -> error(no_answer) end
             end, 1).

-spec join(node()) -> {ok | {error, term()}, micros()}.
join(Node) ->
    {Micros, Result} = timer:tc(fun() -> barrel_p2p:join(Node, #{timeout => 10_000}) end),
    {Result, Micros}.

%% From here on the events of membership are kept.
-spec hear_events() -> ok.
hear_events() ->
    Self = self(),
    Listener = spawn(fun() ->
                         ok = barrel_p2p:subscribe(),
                         true = register(demo_listener, self()),
                         Self ! {self(), hearing},
                         hear([])
                     end),
    receive {Listener, hearing} -> ok after 5_000 -> error(not_hearing) end.

hear(Events) ->
    receive
        {barrel_p2p_event, Event} -> hear([{Event, os:system_time(microsecond)} | Events]);
        {Asker, tell} -> Asker ! {demo_listener, lists:reverse(Events)}, hear(Events)
    end.

%% The events so far, each with the time of day in microseconds when it came.
-spec events() -> [{barrel_p2p:event(), SystemTime :: integer()}].
events() ->
    demo_listener ! {self(), tell},
    receive {demo_listener, Events} -> Events after 5_000 -> error(no_events) end.

%% The members as soon as they are these, or what they are after ten seconds.
-spec until_members([node()]) -> [node()].
until_members(Nodes) ->
    until_members(Nodes, erlang:monotonic_time(millisecond) + 10_000).

until_members(Nodes, Deadline) ->
    Members = barrel_p2p:members(),
    case Members =:= Nodes orelse erlang:monotonic_time(millisecond) > Deadline of
        true -> Members;
        false -> receive after 5 -> until_members(Nodes, Deadline) end
    end.

%% Returns when the monitor is set up.
-spec watch(pid()) -> ok.
watch(Pid) ->
    Self = self(),
    Watcher = spawn(fun() -> watcher(Self, Pid) end),
    receive {Watcher, watching} -> ok after 5_000 -> error(not_watching) end.

%% The reason in the `DOWN` message, and the time of day in microseconds when it came.
-spec seen_down() -> {Reason :: term(), SystemTime :: integer()}.
seen_down() ->
    demo_watcher ! {self(), tell},
    receive {demo_watcher, Reason, At} -> {Reason, At} after 20_000 -> error(not_down) end.

watcher(Parent, Pid) ->
    true = register(demo_watcher, self()),
    Monitor = monitor(process, Pid),
    %% An answer from over there proves that the monitor arrived as well: signals between two processes keep their order.
    Pid ! {hello, self()},
    receive {welcome, _} -> ok end,
    Parent ! {self(), watching},
    receive
        {'DOWN', Monitor, process, Pid, Reason} ->
            At = os:system_time(microsecond),
            receive {Asker, tell} -> Asker ! {demo_watcher, Reason, At} end
    end.

%% Why a node is not connected: the reason, and in words what to do about it.
-spec why(node()) -> {atom(), string()}.
why(Node) ->
    case barrel_p2p:last_error(Node) of
        {Reason, _AgoMs} -> {Reason, barrel_p2p_native:format_error({Reason, <<>>})};
        none -> {none, "no failure is known"}
    end.

%% The keys this node has pinned, with the fingerprint in the form of barrel_p2p:info/0.
-spec pins() -> #{node() => Fingerprint :: binary()}.
pins() ->
    maps:from_list([{Node, hex(Fingerprint)} || #peer_key{node = Node, fingerprint = Fingerprint} <- barrel_p2p_dist_keys:list_trusted()]).

hex(Bytes) ->
    list_to_binary([io_lib:format("~2.16.0b", [Byte]) || <<Byte>> <= Bytes]).

repeated(Fun, Times) ->
    Timed = [timer:tc(Fun) || _ <- lists:seq(1, Times)],
    {_, Last} = lists:last(Timed),
    {Last, lists:nth((Times + 1) div 2, lists:sort([Micros || {Micros, _} <- Timed]))}.
