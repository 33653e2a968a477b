%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_map_presence_tests).
-moduledoc """
What a map remembers of the nodes that write to it.
""".

-include_lib("eunit/include/eunit.hrl").

%% A node that is merely seen again would else lose what it has put back, each time.
a_loss_of_memory_is_told_once_test() ->
    Asked = fun(SinceMs, Presence) -> barrel_p2p_map_presence:has_forgotten('a@host', SinceMs, Presence) end,
    {true, First} = Asked(5, barrel_p2p_map_presence:new(true)),
    ?assertEqual(false, Asked(5, First)),
    ?assertEqual(false, Asked(5, barrel_p2p_map_presence:up('a@host', barrel_p2p_map_presence:down('a@host', First)))),
    {true, Second} = Asked(9, First),
    ?assertEqual(false, Asked(9, Second)),
    ?assertMatch({true, _}, barrel_p2p_map_presence:has_forgotten('b@host', 1, Second)).
