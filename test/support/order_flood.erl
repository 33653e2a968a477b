%% SPDX-License-Identifier: Apache-2.0
-module(order_flood).
-moduledoc """
Floods a pair of nodes with signals and checks that the order between each two processes is kept.

On each node stand receivers. Each has one sender at a time on the other node, spawned from the receiver (`order_receiver`), which numbers what
it sends, uses every naming form in turn, and ends (`order_sender`). The numbers of a pair must go up by one whatever the form, and spawn
reply, replies of calls, exits and DOWNs must come where the numbers say. Some pairs move little else than bulk.

The result is data, so that a test can also ask for an inversion: `{ok, Signals}` if all were in order; `{inversion, Report}` names seed, pair,
form, what was expected and what was seen; `{lost, Report}` says that nothing came for too long or that the nodes lost each other.
""".

-export([run/3, half/1]).
-export_type([options/0, result/0]).

%% signals: how many to check before the end, all pairs together. receivers: on each node, the bulky ones not counted. large_reasons: some
%% processes exit with a reason that fills several frames.
-type options() :: #{seed := integer(), signals := pos_integer(), receivers => pos_integer(), bulky => non_neg_integer(),
                     large_reasons => boolean()}.
-type result() :: {ok, Signals :: pos_integer()} | {inversion, map()} | {lost, map()}.

-spec run(barrel_p2p_test:peer(), barrel_p2p_test:peer(), options()) -> result().
run(#{node := NodeA} = A, #{node := NodeB} = B, #{signals := Signals} = Options) ->
    Half = maps:merge(#{receivers => 16, bulky => 2, large_reasons => true}, Options#{signals => (Signals + 1) div 2}),
    verdict([spawn_monitor(fun() -> exit({half, barrel_p2p_test:on(Peer, fun() -> half(Half#{node => Node}) end, infinity)}) end)
             || {Peer, Node} <- [{A, NodeB}, {B, NodeA}]], 0).

%% The first bad result is the result: where order is broken the other half may wait for long.
verdict([], Signals) ->
    {ok, Signals};
verdict(Halves, Signals) ->
    receive
        {'DOWN', Ref, process, Pid, Reason} when is_pid(Pid) ->
            case {lists:member({Pid, Ref}, Halves), Reason} of
                {true, {half, {ok, More}}} -> verdict(Halves -- [{Pid, Ref}], Signals + More);
                {true, {half, Bad}} -> Bad;
                {true, _} -> error(Reason)
            end
    end.

%% One direction, on the node that receives.
-spec half(map()) -> result().
half(#{signals := Signals, receivers := Receivers, bulky := Bulky} = Options) ->
    Plain = [receiver(Index, Options#{signals => Signals div Receivers, bulky => false}) || Index <- lists:seq(1, Receivers)],
    %% These go on until the others are through.
    Heavy = [receiver(Receivers + Index, Options#{signals => infinity, bulky => true}) || Index <- lists:seq(1, Bulky)],
    Result = collect(Plain, Heavy, 0),
    _ = [exit(Pid, kill) || {Pid, _} <- Plain ++ Heavy],
    Result.

receiver(Index, Options) ->
    spawn_monitor(fun() -> exit({checked, order_receiver:run(Options#{index => Index})}) end).

collect([], [], Signals) ->
    {ok, Signals};
collect(Plain, Heavy, Signals) ->
    receive
        {'DOWN', Ref, process, Pid, {checked, {ok, More}}} ->
            case Plain -- [{Pid, Ref}] of
                [] ->
                    _ = [Bulky ! stop || {Bulky, _} <- Heavy],
                    collect([], Heavy -- [{Pid, Ref}], Signals + More);
                Left ->
                    collect(Left, Heavy -- [{Pid, Ref}], Signals + More)
            end;
        {'DOWN', _, process, _, {checked, Bad}} ->
            Bad;
        {'DOWN', _, process, _, Crash} ->
            error(Crash)
    end.
