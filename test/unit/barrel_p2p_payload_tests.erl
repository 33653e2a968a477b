%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_payload_tests).
-moduledoc """
What gossip carries comes back as it went, and what is not that is refused.
""".
-include_lib("eunit/include/eunit.hrl").

any_term_comes_back_test() ->
    [?assertEqual({ok, {Tag, Payload}}, barrel_p2p_payload:decode(iolist_to_binary(barrel_p2p_payload:encode(Tag, Payload))))
     || {Tag, Payload} <- [{tag, 1}, {{"a", tag}, #{k => [v]}}, {<<>>, self()}, {x, binary:copy(<<"y">>, 100_000)}]].

what_is_no_pair_is_refused_test() ->
    [?assertEqual(error, barrel_p2p_payload:decode(Bytes))
     || Bytes <- [<<>>, <<131>>, <<0, 1, 2>>, term_to_binary(tag), term_to_binary({a, b, c})]].

%% Fifty kilobytes that claim to be fifty megabytes.
compressed_terms_are_refused_test() ->
    Bomb = term_to_binary({tag, binary:copy(<<0>>, 50_000_000)}, [{compressed, 9}]),
    ?assert(byte_size(Bomb) < 60_000),
    ?assertEqual(error, barrel_p2p_payload:decode(Bomb)).
