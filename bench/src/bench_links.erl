%% SPDX-License-Identifier: Apache-2.0
-module(bench_links).
-moduledoc """
What a link costs in memory: one hub with many links, each to a VM of its own, first idle and then all of them busy.

Only the hub is weighed. One link more than is counted is made before the first weighing, so that what a VM loads once does not count.
""".

-export([memory/3]).
%% On the hub.
-export([collect/0]).

-export_type([settings/0]).

-type settings() :: #{links := pos_integer(), links_ms := pos_integer(), _ => _}.

-define(MIB, 1_048_576).
-define(KIB, 1024).
%% An idle VM gives back what it does not need in steps, after some collections of garbage: with 20 links the fifth was the last that changed much.
-define(WEIGHINGS, 10).
-define(WEIGHING_MS, 200).
%% What queues of busy links hold changes within milliseconds.
-define(BUSY_WEIGHING_MS, 20).

%% KiB for each link. Busy is the most that the hub had while a process for each link streamed messages of 1 MiB, its message included.
-spec memory(module(), file:filename(), settings()) -> #{link_idle := number(), link_busy := number()}.
memory(Carrier, Folder, #{links := Count} = Settings) ->
    ok = file:make_dir(Folder),
    Roles = [first | [list_to_atom("leaf_" ++ integer_to_list(N)) || N <- lists:seq(0, Count)]],
    with(Roles, Carrier, Folder, [], fun([Hub | Leaves]) -> weighed(Hub, [bench_pair:on(Leaf, erlang, node, []) || Leaf <- Leaves], Settings) end).

with([], _Carrier, _Folder, Vms, Fun) ->
    Fun(lists:reverse(Vms));
with([Role | Roles], Carrier, Folder, Vms, Fun) ->
    Vm = bench_pair:start(Carrier, Folder, Role),
    try
        with(Roles, Carrier, Folder, [Vm | Vms], Fun)
    after
        bench_pair:stop(Vm)
    end.

weighed(Hub, [Uncounted | Nodes], #{links := Count, links_ms := Ms}) ->
    ok = connect(Hub, Uncounted),
    {Resident, Counted} = idle(Hub),
    _ = [ok = connect(Hub, Node) || Node <- Nodes],
    {IdleResident, IdleCounted} = idle(Hub),
    Busy = busy(Hub, Nodes, Ms),
    Each = fun(Bytes) -> Bytes / Count / ?KIB end,
    #{link_idle => Each(max(IdleResident - Resident, IdleCounted - Counted)), link_busy => Each(Busy - Resident)}.

%% Hidden: otherwise OTP's carriers would connect every VM with every other one.
connect(Hub, Node) ->
    true = bench_pair:on(Hub, net_kernel, hidden_connect_node, [Node]),
    pong = bench_pair:on(Hub, net_adm, ping, [Node]),
    ok.

%% What the kernel gave to the hub, and what its emulator counts. Few idle links fit into what the emulator had in reserve, which the kernel does
%% not see; what the native code takes the emulator does not see. So a link costs at least the larger growth of the two.
idle(Hub) ->
    Weighings = [begin
                     ok = bench_pair:on(Hub, ?MODULE, collect, []),
                     timer:sleep(?WEIGHING_MS),
                     {resident(Hub), bench_pair:on(Hub, erlang, memory, [total])}
                 end || _ <- lists:seq(1, ?WEIGHINGS)],
    {Resident, Counted} = lists:unzip(Weighings),
    {lists:min(Resident), lists:min(Counted)}.

-spec collect() -> ok.
collect() ->
    _ = [garbage_collect(Pid) || Pid <- processes()],
    ok.

busy(Hub, Nodes, Ms) ->
    Load = #{senders => 1, bytes => ?MIB},
    Streams = [spawn_monitor(fun() -> bench_pair:on(Hub, bench_traffic, stream, [Node, Load, Ms]) end) || Node <- Nodes],
    most(Hub, [Monitor || {_, Monitor} <- Streams], 0).

most(_Hub, [], Most) ->
    Most;
most(Hub, [Monitor | Rest] = Monitors, Most) ->
    receive
        {'DOWN', Monitor, process, _, normal} -> most(Hub, Rest, Most);
        {'DOWN', Monitor, process, _, Reason} -> error({measurement_failed, Reason})
    after ?BUSY_WEIGHING_MS ->
        most(Hub, Monitors, max(Most, resident(Hub)))
    end.

resident(Hub) ->
    bench_machine:resident_bytes(bench_pair:os_pid(Hub)).
