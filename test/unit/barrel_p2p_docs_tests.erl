%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_docs_tests).
-moduledoc """
The documents name only what exists: links lead somewhere, functions are exported, tables equal what the code says.
""".
-include_lib("eunit/include/eunit.hrl").

%% The modules whose functions a user may call; docs/reference/api.md lists all of them.
-define(PUBLIC, [barrel_p2p, barrel_p2p_dist_auth, barrel_p2p_dist_keys, barrel_p2p_hlc, barrel_p2p_metrics, barrel_p2p_rotate]).

%% Each reads some hundred files: beside a busy disk that may take longer than the five seconds of a plain test.
pages_test_() ->
    [{timeout, 60, {atom_to_list(Name), Test}} || {Name, Test} <- [
        {links_lead_somewhere, fun links_lead_somewhere/0},
        {every_page_can_be_reached_from_the_readme, fun every_page_can_be_reached_from_the_readme/0},
        {functions_exist, fun functions_exist/0},
        {calls_in_examples_exist, fun calls_in_examples_exist/0},
        {every_public_function_is_documented, fun every_public_function_is_documented/0},
        {close_codes_are_those_of_the_core, fun close_codes_are_those_of_the_core/0},
        {reasons_are_those_of_the_code, fun reasons_are_those_of_the_code/0},
        {layers_are_those_of_the_build, fun layers_are_those_of_the_build/0}]].

links_lead_somewhere() ->
    ?assertEqual([], [{Page, Link} || Page <- pages(), Link <- links(Page), not leads_somewhere(Page, Link)]).

every_page_can_be_reached_from_the_readme() ->
    ?assertEqual([], pages() -- reachable(["README.md"], [])).

functions_exist() ->
    ?assertEqual([], [{Page, Function} || Page <- pages(), Function <- functions(text(Page)), not exists(Function)]).

calls_in_examples_exist() ->
    ?assertEqual([], [{Page, Call} || Page <- pages(), Call <- calls(text(Page)), not is_exported(Call)]).

every_public_function_is_documented() ->
    Named = functions(text("docs/reference/api.md")),
    Exported = [{Module, Name, Arity} || Module <- ?PUBLIC, {Name, Arity} <- Module:module_info(exports), Name =/= module_info],
    ?assertEqual([], [lists:flatten(io_lib:format("~s:~s/~b", [M, F, A])) || {M, F, A} <- Exported -- Named]).

close_codes_are_those_of_the_core() ->
    Source = text("native/base/src/close.rs"),
    Numbers = maps:from_list([{Variant, Number} || [Variant, Number] <- matches("^    ([A-Z][A-Za-z]+) = ([0-9]+),", Source)]),
    Names = maps:from_list([{Variant, Name} || [Variant, Name] <- matches("Self::([A-Za-z]+) => \"([a-z_]+)\"", Source)]),
    Core = [{binary_to_integer(Number), maps:get(Variant, Names)} || {Variant, Number} <- maps:to_list(Numbers)],
    Page = [{binary_to_integer(Number), Name} || [Number, Name] <- matches("^\\| ([0-9]+) \\| `([a-z_]+)` ", text(reasons_page()))],
    ?assertNotEqual([], Core),
    ?assertEqual(lists:sort(Core), Page).

reasons_are_those_of_the_code() ->
    Page = [binary_to_atom(Name) || [Name] <- matches("^\\|(?: [0-9]+ \\|)? `([a-z_]+)` \\|", text(reasons_page()))],
    ?assertEqual(lists:sort(barrel_p2p_reason:codes()), lists:sort(Page)).

reasons_page() ->
    "docs/reference/close-codes.md".

layers_are_those_of_the_build() ->
    {ok, Config} = file:consult(filename:join(root(), "rebar.config")),
    {layers, Layers} = lists:keyfind(layers, 1, Config),
    Everything = [Name || {Name, _, _} <- Layers],
    [_, Table] = binary:split(text("docs/design/layers.md"), <<"## Erlang: modules">>),
    Rows = [{binary_to_atom(Name), may_call(Calls, binary_to_atom(Name), Everything)}
            || [Name, Calls] <- matches("^\\| ([a-z]+) \\| ([a-z, ]+) \\|", Table)],
    ?assertEqual([{Name, lists:sort(May)} || {Name, _, May} <- Layers], Rows).

may_call(<<"nobody">>, _Name, _Everything) -> [];
may_call(<<"everything but ", Rest/binary>>, Name, Everything) -> lists:sort(Everything -- [Name, binary_to_atom(Rest)]);
may_call(Calls, _Name, _Everything) -> lists:sort([binary_to_atom(Call) || Call <- binary:split(Calls, <<", ">>, [global])]).

%% Links.

links(Page) ->
    [Link || [Link] <- matches("\\]\\(([^)\\s]+)\\)", text(Page)), string:prefix(Link, "http") =:= nomatch].

leads_somewhere(Page, Link) ->
    {Target, Anchor} = target(Page, Link),
    filelib:is_file(filename:join(root(), Target)) andalso (Anchor =:= <<>> orelse lists:member(Anchor, anchors(Target))).

target(Page, Link) ->
    case binary:split(Link, <<"#">>) of
        [<<>>, Anchor] -> {Page, Anchor};
        [File, Anchor] -> {relative(Page, File), Anchor};
        [File] -> {relative(Page, File), <<>>}
    end.

relative(Page, File) ->
    Parts = filename:split(filename:join(filename:dirname(Page), binary_to_list(File))),
    Up = fun("..", [_ | Above]) -> Above;
            (".", Path) -> Path;
            (Part, Path) -> [Part | Path]
         end,
    filename:join(lists:reverse(lists:foldl(Up, [], Parts))).

%% How the usual renderers make an anchor of a heading.
anchors(Page) ->
    [re:replace(string:lowercase(re:replace(Title, "[^A-Za-z0-9 _-]", "", [global, {return, binary}])), " ", "-", [global, {return, binary}])
     || [Title] <- matches("^#+ (.+)$", text(Page))].

reachable([], Seen) ->
    lists:sort(Seen);
reachable([Page | Rest], Seen) ->
    case lists:member(Page, Seen) of
        true -> reachable(Rest, Seen);
        false -> reachable([Target || Link <- links(Page), {Target, _} <- [target(Page, Link)], lists:member(Target, pages())] ++ Rest,
                           [Page | Seen])
    end.

%% Functions.

%% `module:name/1`, and `module:name/1,2` for both.
functions(Text) ->
    [{binary_to_atom(Module), binary_to_atom(Name), binary_to_integer(Arity)}
     || [Module, Name, Arities] <- matches("`(barrel_p2p[a-z0-9_]*):([a-z0-9_]+)/([0-9](?:,[0-9])*)`", Text),
        Arity <- binary:split(Arities, <<",">>, [global])].

exists({Module, Name, Arity}) ->
    {module, Module} =:= code:ensure_loaded(Module) andalso erlang:function_exported(Module, Name, Arity).

calls(Text) ->
    [{binary_to_atom(Module), binary_to_atom(Name)} || [Module, Name] <- matches("(barrel_p2p[a-z0-9_]*):([a-z0-9_]+)\\(", Text)].

is_exported({Module, Name}) ->
    {module, Module} =:= code:ensure_loaded(Module) andalso lists:keymember(Name, 1, Module:module_info(exports)).

%% Files.

root() ->
    filename:dirname(filename:dirname(filename:dirname(?FILE))).

pages() ->
    lists:sort(filelib:wildcard("*.md", root()) ++ filelib:wildcard("{docs,bench,examples}/**/*.md", root())).

text(File) ->
    {ok, Text} = file:read_file(filename:join(root(), File)),
    Text.

matches(Pattern, Text) ->
    case re:run(Text, Pattern, [global, multiline, {capture, all_but_first, binary}]) of
        {match, Found} -> Found;
        nomatch -> []
    end.
