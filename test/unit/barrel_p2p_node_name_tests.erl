%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_node_name_tests).
-moduledoc """
Which texts are node names, hosts and patterns.
""".
-include_lib("eunit/include/eunit.hrl").

-define(OK(Full, Host), {ok, <<Full>>, <<Host>>}).

atoms_binaries_and_strings_are_names_test() ->
    [?assertEqual(?OK("a@example.com", "example.com"), barrel_p2p_node_name:parse(Name))
     || Name <- ['a@example.com', <<"a@example.com">>, "a@example.com"]].

hosts_may_be_short_names_and_literals_test() ->
    ?assertEqual(?OK("a_1-b@vm", "vm"), barrel_p2p_node_name:parse('a_1-b@vm')),
    ?assertEqual(?OK("a@127.0.0.1", "127.0.0.1"), barrel_p2p_node_name:parse('a@127.0.0.1')),
    ?assertEqual(?OK("a@::1", "::1"), barrel_p2p_node_name:parse('a@::1')),
    ?assertEqual(?OK("a@fe80::1%eth0", "fe80::1%eth0"), barrel_p2p_node_name:parse(<<"a@fe80::1%eth0">>)).

everything_else_is_not_a_name_test() ->
    Bad = ['', a, '@h', 'a@', 'a@b@c', 'a b@h', 'a/../b@h', 'a@../x', 'a@.h', 'a@-h', 'a@h/x', <<"a@h\n">>, <<"a\0@h">>, <<"a@h\0">>, <<0, 255>>,
           "a@" ++ [16#20ac], [a, b], [$a | $b], 17, {a, b}, <<"a@", (binary:copy(<<"h">>, 254))/binary>>],
    [?assertEqual({Name, error}, {Name, barrel_p2p_node_name:parse(Name)}) || Name <- Bad].

longest_name_is_255_bytes_test() ->
    ?assertMatch({ok, _, _}, barrel_p2p_node_name:parse(<<"a@", (binary:copy(<<"h">>, 253))/binary>>)).

patterns_replace_a_whole_part_test() ->
    [?assert(barrel_p2p_node_name:is_pattern(Pattern)) || Pattern <- ['a@h', '*@h', 'a@*', '*@*', 'probe@10.0.0.1']],
    [?assertNot(barrel_p2p_node_name:is_pattern(Pattern)) || Pattern <- [a, '*', 'a*@h', 'a@*.example.com', '@', <<"a@h">>, "a@h"]].
