%% SPDX-License-Identifier: Apache-2.0
-module(bench_carrier_barrel_p2p_one_lane).
-moduledoc """
barrel_p2p with one lane for each channel: shows what an idle channel pays for having more.
""".
-behaviour(bench_carrier).

-export([vm/2, idle/0]).

-spec vm(file:filename(), bench_carrier:role()) -> {[string()], [{string(), string()}]}.
vm(Folder, Role) ->
    {Flags, Environment} = bench_carrier_barrel_p2p:vm(Folder, Role),
    {Flags ++ ["dist_lanes", "1"], Environment}.

-spec idle() -> boolean().
idle() ->
    bench_carrier_barrel_p2p:idle().
