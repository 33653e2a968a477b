%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_rotate_tests).
-include_lib("eunit/include/eunit.hrl").

backup_directories_are_named_by_utc_time_test() ->
    Us = calendar:datetime_to_gregorian_seconds({{2031, 2, 3}, {4, 5, 6}}) - calendar:datetime_to_gregorian_seconds({{1970, 1, 1}, {0, 0, 0}}),
    ?assertEqual("20310203T040506Z", barrel_p2p_rotate:backup_name(Us * 1000000 + 42, second)),
    ?assertEqual("20310203T040506.000042Z", barrel_p2p_rotate:backup_name(Us * 1000000 + 42, microsecond)).
