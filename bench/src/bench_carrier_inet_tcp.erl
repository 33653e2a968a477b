%% SPDX-License-Identifier: Apache-2.0
-module(bench_carrier_inet_tcp).
-moduledoc """
OTP's default carrier, with OTP's own epmd.
""".
-behaviour(bench_carrier).

-export([vm/2, idle/0]).

-spec vm(file:filename(), bench_carrier:role()) -> {[string()], [{string(), string()}]}.
vm(_Folder, _Role) ->
    {["-start_epmd", "false", "-proto_dist", "inet_tcp"], bench_epmd:environment()}.

-spec idle() -> boolean().
idle() ->
    true.
