%% SPDX-License-Identifier: Apache-2.0
-module(bench_carrier_inet_tls).
-moduledoc """
OTP's TLS carrier, TLS 1.3 only. Both sides show a P-256 certificate and check the other's, as barrel_p2p does.
""".
-behaviour(bench_carrier).

-export([vm/2, idle/0]).

-include_lib("public_key/include/public_key.hrl").

-spec vm(file:filename(), bench_carrier:role()) -> {[string()], [{string(), string()}]}.
vm(Folder, Role) ->
    OptFile = filename:join(Folder, "tls.conf"),
    case Role of
        first -> write_options(Folder, OptFile);
        _ -> ok
    end,
    {["-start_epmd", "false", "-proto_dist", "inet_tls", "-ssl_dist_optfile", OptFile], bench_epmd:environment()}.

-spec idle() -> boolean().
idle() ->
    true.

write_options(Folder, OptFile) ->
    Key = {key, {namedCurve, secp256r1}},
    %% OTP checks the host part of a node name as a DNS name, also when it is an address.
    Hosts = [{dNSName, Host} || Host <- ["127.0.0.1" | bench_network_path:hosts()]],
    Names = #'Extension'{extnID = ?'id-ce-subjectAltName', extnValue = Hosts, critical = false},
    Chain = #{root => [Key], peer => [Key, {extensions, [Names]}]},
    %% Both nodes show the certificate of the server; the client's half of the data knows the authority behind it.
    #{server_config := Shown, client_config := Trusting} = public_key:pkix_test_data(#{server_chain => Chain, client_chain => Chain}),
    {KeyType, KeyDer} = proplists:get_value(key, Shown),
    Options = [{versions, ['tlsv1.3']},
               {verify, verify_peer},
               {certfile, write_pem(Folder, "cert.pem", [{'Certificate', proplists:get_value(cert, Shown)}])},
               {keyfile, write_pem(Folder, "key.pem", [{KeyType, KeyDer}])},
               {cacertfile, write_pem(Folder, "authority.pem", [{'Certificate', Der} || Der <- authorities(Shown, Trusting)])}],
    ok = file:write_file(OptFile, io_lib:format("~p.~n", [[{server, [{fail_if_no_peer_cert, true} | Options]}, {client, Options}]])).

authorities(Shown, Trusting) ->
    lists:usort(proplists:get_value(cacerts, Shown) ++ proplists:get_value(cacerts, Trusting)).

write_pem(Folder, Name, Entries) ->
    File = filename:join(Folder, Name),
    ok = file:write_file(File, public_key:pem_encode([{Type, Der, not_encrypted} || {Type, Der} <- Entries])),
    File.
