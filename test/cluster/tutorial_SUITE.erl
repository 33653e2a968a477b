%% SPDX-License-Identifier: Apache-2.0
-module(tutorial_SUITE).
-moduledoc """
A tutorial does what it says: each block is typed into the shell that the text before it names, and gives the values that stand beside it.
""".

-export([all/0, init_per_suite/1, end_per_suite/1]).
-export([a_service_and_a_map/1]).

all() ->
    [a_service_and_a_map].

init_per_suite(Config) ->
    case barrel_p2p_test:only_over(barrel_p2p) of
        run -> Config;
        {skip, Reason} -> {skip, Reason}
    end.

end_per_suite(_Config) ->
    ok.

a_service_and_a_map(Config) ->
    {ok, Page} = file:read_file(filename:join(root(), "docs/tutorials/shared-state.md")),
    [Script] = barrel_p2p_test_shell:blocks("sh", Page),
    Checkout = barrel_p2p_test_shell:checkout(proplists:get_value(priv_dir, Config)),
    Start = fun(Name) -> {barrel_p2p_test_shell:start(Checkout, Script, [Name]), 1} end,
    Shells = #{<<"bob">> => Start("bob"), <<"ann">> => Start("ann")},
    Ended = lists:foldl(fun(Step, Running) -> step(Step, Start, Running) end, Shells, steps(Page)),
    [ok = barrel_p2p_test_shell:stop(Shell) || {Shell, _} <- maps:values(Ended)].

%% Who is started again, and what is typed where, in the order of the page.
steps(Page) ->
    Step = "(?:Start `(\\w+)` again)|(?:[Oo]n `(\\w+)`)|(?:```erlang\n(.*?)```)",
    {match, Found} = re:run(Page, Step, [global, dotall, {capture, all_but_first, binary}]),
    Found.

step([Again], Start, Shells) ->
    Shells#{Again := Start(binary_to_list(Again))};
step([<<>>, Name], _Start, Shells) ->
    Shells#{on => Name};
step([<<>>, <<>>, Block], _Start, #{on := Name} = Shells) ->
    {Shell, Number} = maps:get(Name, Shells),
    Shells#{Name := {Shell, barrel_p2p_test_shell:check(Shell, Number, Block)}}.

root() ->
    filename:dirname(filename:dirname(filename:dirname(?FILE))).
