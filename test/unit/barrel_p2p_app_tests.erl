%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_app_tests).
-moduledoc """
The application on a node without distribution.
""".
-include_lib("eunit/include/eunit.hrl").

application_starts_without_distribution_test() ->
    ok = config_fixture:reset(),
    {ok, _} = application:ensure_all_started(barrel_p2p),
    try
        ?assert(is_pid(whereis(barrel_p2p_sup)))
    after
        ok = application:stop(barrel_p2p)
    end.

wrong_configuration_is_one_line_test() ->
    ok = config_fixture:reset(),
    ok = application:set_env(barrel_p2p, auth_enabled, sometimes),
    try
        ?assertEqual({error, {barrel_p2p, "configuration key auth_enabled has value sometimes: expected true or false"}},
                     barrel_p2p_app:start(normal, []))
    after
        config_fixture:reset()
    end.
