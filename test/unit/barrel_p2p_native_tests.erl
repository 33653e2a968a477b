%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_native_tests).
-moduledoc """
Errors as text, and what is answered before anything runs. The library itself is tested over real nodes.
""".
-include_lib("eunit/include/eunit.hrl").

every_code_says_what_to_do_test_() ->
    [{atom_to_list(Code),
      fun() ->
              {Problem, Advice} = barrel_p2p_reason:text(Code),
              Line = barrel_p2p_native:format_error({Code, <<"/the/detail">>}),
              ?assertEqual(Problem ++ " (/the/detail); " ++ Advice, Line),
              ?assertEqual(Problem ++ "; " ++ Advice, barrel_p2p_native:format_error({Code, <<>>})),
              ?assertNotMatch("unexpected" ++ _, Problem)
      end} || Code <- barrel_p2p_reason:codes(), Code =/= invalid_config].

codes_are_listed_once_test() ->
    Codes = barrel_p2p_reason:codes(),
    ?assertEqual(lists:usort(Codes), lists:sort(Codes)).

unknown_codes_are_readable_too_test() ->
    ?assertEqual("unexpected failure martian (x); please report it together with the log of both nodes",
                 barrel_p2p_native:format_error({martian, <<"x">>})).

configuration_errors_speak_for_themselves_test() ->
    ?assertEqual("configuration key a has value b: expected c",
                 barrel_p2p_native:format_error({invalid_config, "configuration key a has value b: expected c"})),
    ?assertEqual("the configuration is wrong; correct it", barrel_p2p_native:format_error({invalid_config, <<>>})).

errors_are_one_line_whatever_the_detail_test() ->
    ?assertMatch("a directory cannot be made or written (/a b/é); " ++ _, barrel_p2p_native:format_error({dir_unwritable, <<"/a\nb/é\n"/utf8>>})),
    ?assertMatch("a directory cannot be made or written (/" ++ _, barrel_p2p_native:format_error({dir_unwritable, <<"/", 255, 254>>})).

nothing_runs_without_distribution_test() ->
    ?assertEqual({error, not_started}, barrel_p2p_native:endpoint()),
    ?assertEqual(ok, barrel_p2p_native:stop_endpoint()),
    ?assertEqual(none, barrel_p2p:last_error('a@h')).
