%% SPDX-License-Identifier: Apache-2.0
-module(bench_carrier_barrel_p2p).
-moduledoc """
barrel_p2p with its three flags and every setting at its default; only the folders are private to the pair.
""".
-behaviour(bench_carrier).

-export([vm/2, idle/0]).

-spec vm(file:filename(), bench_carrier:role()) -> {[string()], [{string(), string()}]}.
vm(Folder, Role) ->
    Own = filename:join(Folder, atom_to_list(Role)),
    Flags = ["-proto_dist", "barrel_p2p", "-epmd_module", "barrel_p2p_epmd", "-start_epmd", "false",
             "-pa", filename:dirname(code:which(barrel_p2p_dist)),
             "-barrel_p2p", "auth_key_dir", quoted(filename:join(Own, "keys")),
             "quic_cert_dir", quoted(filename:join(Own, "quic")),
             "barrel_p2p_map_data_dir", quoted(filename:join(Own, "maps")),
             "discovery_dir", quoted(filename:join(Folder, "discovery"))],
    {Flags, []}.

-spec idle() -> boolean().
idle() ->
    %% The link may outlive the channel that it carried; a connect over a link that is still up would skip the handshake.
    maps:get(links, barrel_p2p:info(), []) =:= [].

quoted(Text) ->
    lists:flatten(io_lib:format("~p", [Text])).
