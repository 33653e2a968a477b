%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_house_tests).
-moduledoc """
The rules of the house that no compiler checks: what a source file looks like and that every module has a layer.

The rules themselves stand in `docs/contributing.md`. There is no list of exceptions: a rule that must bend is changed for all.
""".
-include_lib("eunit/include/eunit.hrl").

-define(MAX_LINES, 500).
-define(MAX_COLUMNS, 150).
-define(MAX_EXPORTS, 30).

%% Each reads some hundred files: beside a busy disk that may take longer than the five seconds of a plain test.
rules_test_() ->
    [{timeout, 60, {atom_to_list(Name), Test}} || {Name, Test} <- [
        {files_are_short, fun files_are_short/0},
        {lines_fit_the_screen, fun lines_fit_the_screen/0},
        {licence_is_named, fun licence_is_named/0},
        {erlang_modules_say_what_they_are, fun erlang_modules_say_what_they_are/0},
        {rust_files_say_what_they_are, fun rust_files_say_what_they_are/0},
        {only_the_boundary_crate_may_be_unsafe, fun only_the_boundary_crate_may_be_unsafe/0},
        {environment_is_read_in_one_place, fun environment_is_read_in_one_place/0},
        {modules_stay_small_doors, fun modules_stay_small_doors/0},
        {every_module_has_a_layer, fun every_module_has_a_layer/0}]].

files_are_short() ->
    ?assertEqual([], [{File, N} || File <- sources(), N <- [length(lines(File))], N > ?MAX_LINES]).

lines_fit_the_screen() ->
    ?assertEqual([], [{File, N} || File <- sources(), {N, Line} <- lists:enumerate(lines(File)), string:length(Line) > ?MAX_COLUMNS]).

licence_is_named() ->
    ?assertEqual([], [File || File <- sources() ++ scripts(),
                              not lists:any(fun(Line) -> contains(Line, "SPDX-License-Identifier: Apache-2.0") end,
                                            lists:sublist(lines(File), 2))]).

erlang_modules_say_what_they_are() ->
    ?assertEqual([], [File || File <- wildcard("{erlang_src,test,bench}/**/*.erl"), not contains(text(File), "\n-moduledoc ")]).

rust_files_say_what_they_are() ->
    ?assertEqual([], [File || File <- wildcard("native/*/src/**/*.rs"), filename:basename(File) =/= "tests.rs",
                              case lines(File) of [_Licence, <<"//! ", _/binary>> | _] -> false; _ -> true end]).

only_the_boundary_crate_may_be_unsafe() ->
    ?assertEqual([], [File || File <- wildcard("native/*/src/lib.rs") -- ["native/nif/src/lib.rs"],
                              not contains(text(File), "#![forbid(unsafe_code)]")]).

%% OTP's own keys may be looked at where OTP is concerned.
environment_is_read_in_one_place() ->
    ?assertEqual(["erlang_src/app/barrel_p2p_config.erl"],
                 [File || File <- wildcard("erlang_src/**/*.erl"),
                          re:run(text(File), "application:get_(all_)?env\\((?!kernel)", [{capture, none}]) =:= match]).

%% The front door is as wide as the documented interface, which is one module by contract; all it does is pass on.
modules_stay_small_doors() ->
    ?assertEqual([], [{Module, N} || File <- modules(), Module <- [module(File)], Module =/= barrel_p2p,
                                     N <- [length(exports(Module, text(File)))], N > ?MAX_EXPORTS]).

%% A module outside all layers could call whatever it likes.
every_module_has_a_layer() ->
    {ok, Config} = file:consult(filename:join(root(), "rebar.config")),
    {layers, Layers} = lists:keyfind(layers, 1, Config),
    Named = lists:append([Members || {_, Members, _} <- Layers]),
    Modules = [module(File) || File <- modules()],
    ?assertEqual({[], []}, {Modules -- Named, Named -- Modules}).

%% Helpers.

root() ->
    filename:dirname(filename:dirname(filename:dirname(?FILE))).

sources() ->
    wildcard("{erlang_src,test,bench,examples}/**/*.erl") ++ wildcard("native/**/*.rs").

scripts() ->
    wildcard("{test,bench,examples,priv}/**/*.sh") ++ ["Makefile", "rebar.config", ".ci/run"].

wildcard(Pattern) ->
    lists:sort(filelib:wildcard(Pattern, root())).

text(File) ->
    {ok, Text} = file:read_file(filename:join(root(), File)),
    Text.

lines(File) ->
    string:split(string:trim(text(File), trailing), "\n", all).

contains(Text, Part) ->
    string:find(Text, Part) =/= nomatch.

modules() ->
    wildcard("erlang_src/**/*.erl").

module(File) ->
    list_to_atom(filename:basename(File, ".erl")).

%% Stubs of native functions are a contract, not a door.
exports(Module, Text) ->
    [Export || {Name, _} = Export <- Module:module_info(exports) -- [{module_info, 0}, {module_info, 1}],
               re:run(Text, ["(?m)^", atom_to_list(Name), "\\(.*-> erlang:nif_error"], [{capture, none}]) =:= nomatch].
