%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_config_tests).
-moduledoc """
The schema, its normal forms, its errors, and that documents and defaults follow it.
""".
-include_lib("eunit/include/eunit.hrl").

-define(PAGE, "docs/reference/configuration.md").
-define(APP_SRC, "erlang_src/barrel_p2p.app.src").

%% Documents and defaults that stand in two places

app_src_lists_every_key_with_its_default_test() ->
    {ok, [{application, barrel_p2p, App}]} = file:consult(?APP_SRC),
    Schema = [{Key, Default} || #{key := Key, default := Default} <- barrel_p2p_config_schema:keys()],
    ?assertEqual(Schema, proplists:get_value(env, App)).

reference_page_is_up_to_date_test() ->
    {ok, Page} = file:read_file(?PAGE),
    Rewrite = "rewrite it with: erl -noshell -pa _build/default/lib/barrel_p2p/ebin -eval "
        "'ok = file:write_file(\"" ?PAGE "\", barrel_p2p_config:markdown()), halt().'",
    case barrel_p2p_config:markdown() of
        Page -> ok;
        _ -> error({?PAGE ++ " differs from the schema", Rewrite})
    end.

defaults_are_valid_test() ->
    {ok, Values} = validate([]),
    ?assertEqual([Key || #{key := Key} <- barrel_p2p_config_schema:keys()] -- maps:keys(Values), []),
    ?assertMatch(#{listen_port := 0, auth_trust_mode := tofu, dist_cookie := undefined}, Values).

%% Normal forms

paths_are_strings_or_binaries_and_become_absolute_test() ->
    {ok, Cwd} = file:get_cwd(),
    Expected = unicode:characters_to_binary(filename:join(Cwd, "x/é")),
    ?assertMatch({ok, #{auth_key_dir := Expected}}, validate([{auth_key_dir, "x/é"}])),
    ?assertMatch({ok, #{auth_key_dir := Expected}}, validate([{auth_key_dir, <<"x/é"/utf8>>}])),
    ?assertMatch({ok, #{discovery_dir := <<"/abs">>}}, validate([{discovery_dir, "/abs"}])).

backends_become_pairs_test() ->
    ?assertMatch({ok, #{discovery_backends := [{a, #{}}, {b, [1]}]}}, validate([{discovery_backends, [a, {b, [1]}]}])).

nodes_have_two_spellings_and_hosts_three_test() ->
    Nodes = [{'a@h', {"10.0.0.1", 1}}, {'a@h', <<"example.com">>, 2}, {"b@h", {127, 0, 0, 1}, 3}, {<<"b@h">>, {{0, 0, 0, 0, 0, 0, 0, 1}, 4}}],
    {ok, #{discovery_nodes := Normal}} = validate([{discovery_nodes, Nodes}]),
    ?assertEqual([{<<"a@h">>, {<<"10.0.0.1">>, 1}}, {<<"a@h">>, {<<"example.com">>, 2}},
                  {<<"b@h">>, {<<"127.0.0.1">>, 3}}, {<<"b@h">>, {<<"::1">>, 4}}], Normal).

contacts_have_three_forms_test() ->
    Contacts = ['a@h', <<"b@h">>, {'c@h', {"10.0.0.1", 1}}, {"example.com", 2}, {{127, 0, 0, 1}, 3}, {<<"::1">>, 4}],
    {ok, #{contact_nodes := Normal}} = validate([{contact_nodes, Contacts}]),
    ?assertEqual([{<<"a@h">>, none}, {<<"b@h">>, none}, {<<"c@h">>, {<<"10.0.0.1">>, 1}}, {<<>>, {<<"example.com">>, 2}},
                  {<<>>, {<<"127.0.0.1">>, 3}}, {<<>>, {<<"::1">>, 4}}], Normal).

%% Errors: one line that names key, value and what was expected

wrong_values_are_refused_test_() ->
    [{lists:flatten(io_lib:format("~0p", [Pair])), ?_assertEqual({error, Line}, validate([Pair]))}
     || {Pair, Line} <-
            [{{listen_port, -1}, "configuration key listen_port has value -1: expected an integer from 0 to 65535"},
             {{listen_port, "4433"}, "configuration key listen_port has value \"4433\": expected an integer from 0 to 65535"},
             {{discovery_dns_port, 0}, "configuration key discovery_dns_port has value 0: expected an integer from 1 to 65535"},
             {{auth_key_dir, ""}, "configuration key auth_key_dir has value []: expected a non-empty string or binary"},
             {{auth_key_dir, data}, "configuration key auth_key_dir has value data: expected a non-empty string or binary"},
             {{auth_enabled, yes}, "configuration key auth_enabled has value yes: expected true or false"},
             {{auth_trust_mode, trusting}, "configuration key auth_trust_mode has value trusting: expected tofu or strict"},
             {{auth_handshake_timeout, infinity},
              "configuration key auth_handshake_timeout has value infinity: expected a positive integer (milliseconds)"},
             {{cookie_only_nodes, [probe]},
              "configuration key cookie_only_nodes has value [probe]: expected a list of atoms name@host, where either part may be *"},
             {{cookie_only_nodes, 'a@h'},
              "configuration key cookie_only_nodes has value a@h: expected a list of atoms name@host, where either part may be *"},
             {{discovery_backends, [{a, b, c}]},
              "configuration key discovery_backends has value [{a,b,c}]: expected a list of modules or {Module, Args}"},
             {{active_size, 0}, "configuration key active_size has value 0: expected an integer from 1 to 65535"},
             {{contact_nodes, ['a@h', a]},
              "configuration key contact_nodes has value [a@h,a]: expected a list of Node, {Node, {Host, Port}} or {Host, Port}"},
             {{contact_nodes, [{'a@h', 9100}]},
              "configuration key contact_nodes has value [{a@h,9100}]: expected a list of Node, {Node, {Host, Port}} or {Host, Port}"},
             {{discovery_nodes, [{'a@h', 4433}]},
              "configuration key discovery_nodes has value [{a@h,4433}]: expected a list of {Node, {Host, Port}} or {Node, Host, Port}"}]].

non_text_paths_are_refused_test() ->
    [?assertMatch({error, _}, validate([{auth_key_dir, Path}])) || Path <- [[0 | 1], [16#110000], <<255, 254>>, ["a", b], {}]].

hosts_that_cannot_be_hosts_are_refused_test() ->
    [?assertMatch({error, _}, validate([{discovery_nodes, [{'a@h', Host, 1}]}])) || Host <- ["", "a b", "a/b", {1, 2, 3}, {256, 0, 0, 0}, h]].

long_values_are_cut_to_one_line_test() ->
    {error, Line} = validate([{listen_port, [#{n => N, text => "a\nb"} || N <- lists:seq(1, 1000)]}]),
    ?assert(length(Line) < 300),
    ?assertNot(lists:member($\n, Line)).

mistyped_cookie_is_not_shown_test() ->
    ?assertEqual({error, "configuration key dist_cookie has value (not shown): expected an atom"}, validate([{dist_cookie, "my secret"}])).

unknown_key_suggests_the_closest_test() ->
    [?assertEqual({error, Line}, validate([{Key, 1}]))
     || {Key, Line} <- [{lisen_port, "unknown configuration key lisen_port: did you mean listen_port?"},
                        {auth_mode, "unknown configuration key auth_mode: did you mean auth_trust_mode?"},
                        {keepalive_ms, "unknown configuration key keepalive_ms: did you mean link_keepalive_ms?"},
                        {zzz, "unknown configuration key zzz: the known keys are listed in docs/reference/configuration.md"}]].

idle_timeout_covers_four_keepalives_test() ->
    ?assertMatch({ok, _}, validate([{link_keepalive_ms, 500}, {link_idle_timeout_ms, 2000}])),
    ?assertEqual({error, "configuration key link_idle_timeout_ms has value 1999: expected at least four times link_keepalive_ms (500)"},
                 validate([{link_keepalive_ms, 500}, {link_idle_timeout_ms, 1999}])).

cookie_only_nodes_need_an_own_cookie_test() ->
    Env = [{cookie_only_nodes, ['probe@*']}],
    Line = "configuration key cookie_only_nodes has value ['probe@*']: expected [] as long as the cookie is the well-known barrel_p2p",
    ?assertMatch({ok, _}, barrel_p2p_config:validate(Env, [], secret)),
    ?assertMatch({ok, _}, barrel_p2p_config:validate([{dist_cookie, secret} | Env], [], barrel_p2p)),
    ?assertEqual({error, Line}, barrel_p2p_config:validate(Env, [], barrel_p2p)),
    ?assertEqual({error, Line}, barrel_p2p_config:validate([{dist_cookie, barrel_p2p} | Env], [], secret)),
    ?assertMatch({ok, _}, barrel_p2p_config:validate([], [], barrel_p2p)).

%% Flags

flags_win_over_the_environment_test() ->
    Flags = [{root, ["/"]}, {barrel_p2p_dist_port, ["9100"]}, {barrel_p2p_dist_cert_dir, ["/tls"]}, {barrel_p2p_dist_port, ["9101"]}],
    ?assertMatch({ok, #{listen_port := 9101, quic_cert_dir := <<"/tls">>}},
                 barrel_p2p_config:validate([{listen_port, 1}, {quic_cert_dir, "x"}], Flags, secret)).

bad_flags_are_refused_test() ->
    [?assertEqual({error, Line}, barrel_p2p_config:validate([], [Flag], secret))
     || {Flag, Line} <-
            [{{barrel_p2p_dist_port, ["99999"]}, "flag -barrel_p2p_dist_port has value 99999: expected an integer from 0 to 65535"},
             {{barrel_p2p_dist_port, ["auto"]}, "flag -barrel_p2p_dist_port has value auto: expected an integer from 0 to 65535"},
             {{barrel_p2p_dist_port, []}, "flag -barrel_p2p_dist_port has value : expected an integer from 0 to 65535"},
             {{barrel_p2p_dist_port, ["1", "2"]}, "flag -barrel_p2p_dist_port has value 1 2: expected an integer from 0 to 65535"},
             {{barrel_p2p_dist_cert_dir, []}, "flag -barrel_p2p_dist_cert_dir has value : expected one directory"}]].

%% Loading

values_are_loaded_on_first_use_test() ->
    ok = config_fixture:reset(),
    persistent_term:erase(barrel_p2p_config),
    ?assertEqual(1000, barrel_p2p_config:get(link_keepalive_ms)).

wrong_configuration_raises_on_first_use_test() ->
    ok = config_fixture:reset(),
    persistent_term:erase(barrel_p2p_config),
    ok = application:set_env(barrel_p2p, listen_port, x),
    try
        ?assertError({barrel_p2p, "configuration key listen_port has value x" ++ _}, barrel_p2p_config:get(link_keepalive_ms))
    after
        config_fixture:reset()
    end.

failed_load_keeps_the_old_values_test() ->
    config_fixture:with([{discovery_dns_port, 7}], fun() ->
        ok = application:set_env(barrel_p2p, discovery_dns_port, x),
        ?assertMatch({error, "configuration key discovery_dns_port" ++ _}, barrel_p2p_config:load()),
        ?assertEqual(7, barrel_p2p_config:get(discovery_dns_port))
    end).

reload_keeps_what_the_endpoint_uses_and_names_it_test() ->
    config_fixture:with([{listen_port, 1}, {discovery_dns_port, 1}], fun() ->
        ok = application:set_env(barrel_p2p, listen_port, 2),
        ok = application:set_env(barrel_p2p, discovery_dns_port, 2),
        ?assertEqual({ok, [listen_port]}, barrel_p2p_config:reload()),
        ?assertEqual(1, barrel_p2p_config:get(listen_port)),
        ?assertEqual(2, barrel_p2p_config:get(discovery_dns_port)),
        ?assertEqual(ok, barrel_p2p_config:load()),
        ?assertEqual(2, barrel_p2p_config:get(listen_port))
    end).

validate(Env) ->
    barrel_p2p_config:validate(Env, [], secret).
