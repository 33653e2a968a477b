%% SPDX-License-Identifier: Apache-2.0
-module(documents_SUITE).
-moduledoc """
Documents do what they say: their shells are started with their own lines, and their expressions have the values that stand beside them.
""".

-export([all/0, init_per_suite/1, end_per_suite/1]).
-export([the_example_of_the_readme_works_as_printed/1, the_tutorial_of_a_service_and_a_map_works_as_printed/1]).

all() ->
    [the_example_of_the_readme_works_as_printed, the_tutorial_of_a_service_and_a_map_works_as_printed].

init_per_suite(Config) ->
    case barrel_p2p_test:only_over(barrel_p2p) of
        run -> Config;
        {skip, Reason} -> {skip, Reason}
    end.

end_per_suite(_Config) ->
    ok.

the_example_of_the_readme_works_as_printed(Config) ->
    Readme = text("README.md"),
    Checkout = barrel_p2p_test_shell:checkout(proplists:get_value(priv_dir, Config)),
    [StartBob, StartAnn] = [Block || Block <- barrel_p2p_test_shell:blocks("sh", Readme), string:find(Block, "erl -proto_dist") =/= nomatch],
    [Expressions] = [Block || Block <- barrel_p2p_test_shell:blocks("erlang", Readme), string:find(Block, "net_adm:ping") =/= nomatch],
    Bob = barrel_p2p_test_shell:start(Checkout, StartBob, []),
    Ann = barrel_p2p_test_shell:start(Checkout, StartAnn, []),
    _ = barrel_p2p_test_shell:check(Ann, 1, Expressions),
    lists:foreach(fun barrel_p2p_test_shell:stop/1, [Ann, Bob]).

%% Each block is typed into the shell that the text before it names.
the_tutorial_of_a_service_and_a_map_works_as_printed(Config) ->
    Page = text("docs/tutorials/shared-state.md"),
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

text(File) ->
    Root = filename:dirname(filename:dirname(filename:dirname(?FILE))),
    {ok, Text} = file:read_file(filename:join(Root, File)),
    Text.
