%% SPDX-License-Identifier: Apache-2.0
-module(bench_carrier).
-moduledoc """
What the benchmark must know about a carrier: how to start a VM that uses it, and when a closed connection is really gone.

A carrier named `c` is the module `bench_carrier_c`; adding one takes nothing else.
""".

-export([module/1, names/0]).

-export_type([role/0]).

%% `first` starts before all others of its folder.
-type role() :: first | atom().

%% Flags and environment of one VM. `Folder` is empty, private to the VMs of one measurement and removed after it.
-callback vm(Folder :: file:filename(), Role :: role()) -> {Flags :: [string()], Environment :: [{string(), string()}]}.

%% Called on a VM that has no connected nodes: is nothing of an earlier connection left that would make the next one cheaper?
-callback idle() -> boolean().

-spec names() -> [atom(), ...].
names() ->
    [inet_tcp, inet_tls, barrel_p2p].

-spec module(atom()) -> {ok, module()} | {error, unknown}.
module(Name) ->
    Module = list_to_atom("bench_carrier_" ++ atom_to_list(Name)),
    case code:ensure_loaded(Module) of
        {module, Module} -> {ok, Module};
        {error, _} -> {error, unknown}
    end.
