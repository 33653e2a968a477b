%% SPDX-License-Identifier: Apache-2.0
-module(demo).
-moduledoc """
The story of the demo: three nodes meet, work, lose one of them, and refuse two strangers.

Everything printed is an answer of a running node, and everything expected is checked: the exit status is 0 only if all of it was true.
""".

-export([main/0]).

%% How often a call is repeated for its median time.
-define(CALLS, 200).
%% link_idle_timeout_ms promises at most 5 s from a death to its nodedown; the clock of this observer may add a little.
-define(DETECTION_LIMIT_MICROS, 5_500_000).
%% Two seconds more for the member to refute, and a moment to tell everyone.
-define(KNOWN_LIMIT_MICROS, 8_000_000).

-spec main() -> no_return().
main() ->
    ok = io:setopts([{encoding, unicode}]),
    %% What the nodes log goes to their files, and what a node leaves behind when it is killed is no news here.
    ok = logger:set_primary_config(level, none),
    Start = erlang:monotonic_time(microsecond),
    Status =
        try story() of
            ok ->
                demo_print:heading(["All as expected, in ", demo_print:time(erlang:monotonic_time(microsecond) - Start), "."]),
                0
        catch
            throw:{unexpected, What, Expected, Got} ->
                io:format("~nNOT AS EXPECTED: ~ts~n  expected ~tp~n  got      ~tp~n~ts", [What, Expected, Got, demo_vm:logs()]),
                1;
            Class:Reason:Stack ->
                io:format("~nFAILED: ~tp~n~tp~n~ts", [{Class, Reason}, Stack, demo_vm:logs()]),
                1
        end,
    halt(Status).

story() ->
    Nodes = [Alice, Bob, Carol] = boot(),
    connect([{Alice, Bob}, {Alice, Carol}, {Bob, Carol}]),
    who_is_connected(Nodes),
    work(Alice, Bob, Carol),
    join(Alice, Bob, Carol),
    death(Alice, Bob, Carol),
    wrong_cookie(Alice),
    changed_key(Alice),
    lists:foreach(fun demo_vm:stop/1, [Alice, Bob]).

boot() ->
    demo_print:title("barrel_p2p: Erlang distribution over QUIC, without epmd"),
    demo_print:note(["every node: erl -name NAME@127.0.0.1 -setcookie demo ", lists:join(" ", demo_vm:flags())]),
    demo_print:heading("Three nodes boot"),
    Booted = [begin
                  {Micros, Vm} = timer:tc(demo_vm, start, [Name, #{}]),
                  {Vm, info(Vm), Micros}
              end || Name <- ["alice", "bob", "carol"]],
    demo_print:rows([["node", "OS process", "UDP port", "key fingerprint", "boot"] |
                     [[name(Vm), demo_vm:os_pid(Vm), integer_to_list(Port), demo_print:short(Key), demo_print:time(Micros)]
                      || {Vm, #{port := Port, fingerprint := Key}, Micros} <- Booted]]),
    expect("every node has a key of its own", 3, length(lists:usort([Key || {_, #{fingerprint := Key}, _} <- Booted]))),
    [Vm || {Vm, _, _} <- Booted].

connect(Pairs) ->
    demo_print:heading("They connect: TLS 1.3, both keys and the cookie proven, Erlang handshake"),
    demo_print:rows([["from", "to", "time"] | [connect_row(From, To) || {From, To} <- Pairs]]),
    demo_print:note("The first connect of a node includes loading the code for it.").

connect_row(From, To) ->
    {Connected, Micros} = demo_vm:call(From, demo_inside, connect, [demo_vm:node_of(To)]),
    expect([name(From), " connects to ", name(To)], true, Connected),
    [name(From), name(To), demo_print:time(Micros)].

who_is_connected(Vms) ->
    demo_print:heading("Who is connected to whom, as every node says itself"),
    Keys = maps:from_list([{atom_to_binary(demo_vm:node_of(Vm)), maps:get(fingerprint, info(Vm))} || Vm <- Vms]),
    demo_print:rows([["node", "peer", "link", "peer's address", "peer's key", "pinned"] | lists:append([link_rows(Vm, Keys) || Vm <- Vms])]).

link_rows(Vm, Keys) ->
    Pins = demo_vm:call(Vm, demo_inside, pins, []),
    Links = lists:sort([{Peer, Link} || #{peer := Peer} = Link <- maps:get(links, info(Vm))]),
    expect([name(Vm), " has a link to each other node"], lists:delete(atom_to_binary(demo_vm:node_of(Vm)), lists:sort(maps:keys(Keys))),
           [Peer || {Peer, _} <- Links]),
    [link_row(name(Vm), Link, maps:get(Peer, Keys), maps:get(binary_to_atom(Peer), Pins, none)) || {Peer, Link} <- Links].

link_row(Name, #{peer := Peer, role := Role, address := {Ip, Port}, fingerprint := Key}, OwnKey, Pin) ->
    expect([Name, " sees the key that ", Peer, " has, and has pinned it"], {OwnKey, OwnKey}, {Key, Pin}),
    [Name, Peer, atom_to_list(Role), io_lib:format("~s:~b", [inet:ntoa(Ip), Port]), demo_print:short(Key), "yes"].

work(Alice, Bob, Carol) ->
    demo_print:heading("Everything works as always"),
    {ok, Counter} = demo_vm:call(Bob, demo_counter, start, []),
    {Count, CallMicros} = demo_vm:call(Alice, demo_inside, call_counter, [demo_vm:node_of(Bob), ?CALLS]),
    expect("the counter on bob has counted every call", ?CALLS, Count),
    {Answer, RpcMicros} = demo_vm:call(Alice, demo_inside, remote_call, [demo_vm:node_of(Carol), ?CALLS]),
    expect("the remote call ran on carol", demo_vm:node_of(Carol), Answer),
    {Greeter, SendMicros} = demo_vm:call(Carol, demo_inside, greet, [Counter]),
    expect("the process on bob answers", demo_vm:node_of(Bob), Greeter),
    Median = io_lib:format(" (median of ~b)", [?CALLS]),
    demo_print:rows([["what", "from", "to", "answer", "round trip"],
                     ["gen_server:call", "alice", "bob", integer_to_list(Count), [demo_print:time(CallMicros), Median]],
                     ["rpc:call, node()", "alice", "carol", atom_to_list(Answer), [demo_print:time(RpcMicros), Median]],
                     ["Pid ! {hello, self()}", "carol", "bob", io_lib:format("{welcome,~p}", [Greeter]), demo_print:time(SendMicros)]]).

join(Alice, Bob, Carol) ->
    demo_print:heading("They become one cluster: bob and carol join alice, and alice tells each of the other"),
    ok = demo_vm:call(Alice, demo_inside, hear_events, []),
    Since = os:system_time(microsecond),
    demo_print:rows([["barrel_p2p:join", "time"] | [join_row(From, Alice) || From <- [Bob, Carol]]]),
    Nodes = lists:sort([demo_vm:node_of(Vm) || Vm <- [Alice, Bob, Carol]]),
    Views = [{name(Vm), demo_vm:call(Vm, demo_inside, until_members, [Nodes]), demo_vm:call(Vm, barrel_p2p, active_view, [])}
             || Vm <- [Alice, Bob, Carol]],
    [expect([Name, " knows all members"], Nodes, Members) || {Name, Members, _} <- Views],
    demo_print:rows([["node", "barrel_p2p:members()", "neighbours"] |
                     [[Name, names(Members), names(lists:sort(View))] || {Name, Members, View} <- Views]]),
    Told = demo_vm:call(Alice, demo_inside, events, []),
    expect("alice was told once of each neighbour", [{peer_up, demo_vm:node_of(Vm)} || Vm <- [Bob, Carol]],
           lists:sort([Event || {{peer_up, _} = Event, _} <- Told])),
    demo_print:rows([["alice was told", "after"] | [[io_lib:format("~0p", [Event]), demo_print:time(At - Since)] || {Event, At} <- Told]]).

join_row(From, To) ->
    {Result, Micros} = demo_vm:call(From, demo_inside, join, [demo_vm:node_of(To)]),
    expect([name(From), " joins ", name(To)], ok, Result),
    [[name(From), " to ", name(To), ": ", atom_to_list(Result)], demo_print:time(Micros)].

names(Nodes) ->
    lists:join(" ", [hd(string:split(atom_to_list(Node), "@")) || Node <- Nodes]).

death(Alice, Bob, Carol) ->
    demo_print:heading("carol dies: kill -9"),
    {ok, Counter} = demo_vm:call(Carol, demo_counter, start, []),
    ok = demo_vm:call(Alice, demo_inside, watch, [Counter]),
    KilledAt = demo_vm:kill(Carol),
    {Reason, SeenAt} = demo_vm:call(Alice, demo_inside, seen_down, []),
    expect("alice's monitor of a process on carol fires because the node is gone", noconnection, Reason),
    expect("it fires in time", true, SeenAt - KilledAt < ?DETECTION_LIMIT_MICROS),
    Survivors = lists:sort([demo_vm:node_of(Vm) || Vm <- [Alice, Bob]]),
    [expect([name(Vm), " knows who is left"], Survivors, demo_vm:call(Vm, demo_inside, until_members, [Survivors])) || Vm <- [Alice, Bob]],
    KnownAt = os:system_time(microsecond),
    expect("everyone knows in time", true, KnownAt - KilledAt < ?KNOWN_LIMIT_MICROS),
    Down = {peer_down, demo_vm:node_of(Carol), nodedown},
    [TellAt] = [At || {Event, At} <- demo_vm:call(Alice, demo_inside, events, []), Event =:= Down],
    demo_print:rows([["who", "message", "after"],
                     ["alice", io_lib:format("{'DOWN',_,process,_,~p}", [Reason]), demo_print:time(SeenAt - KilledAt)],
                     ["alice", io_lib:format("{barrel_p2p_event,~0p}", [Down]), demo_print:time(TellAt - KilledAt)],
                     ["everyone", ["members(): ", names(Survivors)], demo_print:time(KnownAt - KilledAt)]]).

wrong_cookie(Alice) ->
    demo_print:heading("A stranger with a wrong cookie is refused"),
    Stranger = demo_vm:start("mallory", #{cookie => "guessed"}),
    refused(Stranger, Alice, wrong_cookie),
    expect("alice has stored nothing about mallory", false,
           is_map_key(demo_vm:node_of(Stranger), demo_vm:call(Alice, demo_inside, pins, []))),
    demo_vm:stop(Stranger).

changed_key(Alice) ->
    demo_print:heading("Somebody calls itself carol, with another key, and is refused"),
    Impostor = demo_vm:start("carol", #{keys => "impostor"}),
    refused(Impostor, Alice, key_mismatch),
    demo_vm:stop(Impostor),
    demo_print:heading("The real carol comes back with her own key"),
    Carol = demo_vm:start("carol", #{}),
    demo_print:rows([["from", "to", "time"], connect_row(Carol, Alice)]),
    demo_vm:stop(Carol).

refused(Caller, Called, Expected) ->
    {Connected, Micros} = demo_vm:call(Caller, demo_inside, connect, [demo_vm:node_of(Called)]),
    expect([name(Caller), " is not connected to ", name(Called)], false, Connected),
    Sides = [{name(Of), demo_vm:call(Of, demo_inside, why, [demo_vm:node_of(About)])} || {Of, About} <- [{Caller, Called}, {Called, Caller}]],
    expect("both sides know why", [Expected, Expected], [Reason || {_, {Reason, _}} <- Sides]),
    demo_print:rows([["net_kernel:connect_node", [name(Caller), " to ", name(Called), ": ", atom_to_list(Connected)], demo_print:time(Micros)]]),
    demo_print:rows([["side", "barrel_p2p:last_error/1"] | [[Name, atom_to_list(Reason)] || {Name, {Reason, _}} <- Sides]]),
    {_, {_, Words}} = hd(Sides),
    demo_print:note(Words).

info(Vm) ->
    demo_vm:call(Vm, barrel_p2p, info, []).

name(Vm) ->
    hd(string:split(atom_to_list(demo_vm:node_of(Vm)), "@")).

expect(_What, Value, Value) -> ok;
expect(What, Expected, Got) -> throw({unexpected, What, Expected, Got}).
