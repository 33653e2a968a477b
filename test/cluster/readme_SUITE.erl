%% SPDX-License-Identifier: Apache-2.0
-module(readme_SUITE).
-moduledoc """
The example of the README does what it says: its two shells are started with its own lines, and its expressions have the values that stand
beside them.
""".

-export([all/0, init_per_suite/1, end_per_suite/1]).
-export([the_example_works_as_printed/1]).

all() ->
    [the_example_works_as_printed].

init_per_suite(Config) ->
    case barrel_p2p_test:only_over(barrel_p2p) of
        run -> Config;
        {skip, Reason} -> {skip, Reason}
    end.

end_per_suite(_Config) ->
    ok.

the_example_works_as_printed(Config) ->
    {ok, Readme} = file:read_file(filename:join(root(), "README.md")),
    Checkout = barrel_p2p_test_shell:checkout(proplists:get_value(priv_dir, Config)),
    [StartBob, StartAnn] = [Block || Block <- barrel_p2p_test_shell:blocks("sh", Readme), string:find(Block, "erl -proto_dist") =/= nomatch],
    [Expressions] = [Block || Block <- barrel_p2p_test_shell:blocks("erlang", Readme), string:find(Block, "net_adm:ping") =/= nomatch],
    Bob = barrel_p2p_test_shell:start(Checkout, StartBob, []),
    Ann = barrel_p2p_test_shell:start(Checkout, StartAnn, []),
    _ = barrel_p2p_test_shell:check(Ann, 1, Expressions),
    lists:foreach(fun barrel_p2p_test_shell:stop/1, [Ann, Bob]).

root() ->
    filename:dirname(filename:dirname(filename:dirname(?FILE))).
