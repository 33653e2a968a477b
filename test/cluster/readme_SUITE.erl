%% SPDX-License-Identifier: Apache-2.0
-module(readme_SUITE).
-moduledoc """
The example of the README does what it says: its two shells are started with its own lines, and its expressions have the values that stand
beside them.
""".

-export([all/0, init_per_suite/1, end_per_suite/1]).
-export([the_example_works_as_printed/1]).

-define(TIMEOUT_MS, 20_000).
-define(PROMPT, "\\([a-z]+@127\\.0\\.0\\.1\\)").

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
    Checkout = checkout(proplists:get_value(priv_dir, Config)),
    [StartBob, StartAnn] = [Block || Block <- blocks("sh", Readme), string:find(Block, "erl -proto_dist") =/= nomatch],
    [Expressions] = [Block || Block <- blocks("erlang", Readme), string:find(Block, "net_adm:ping") =/= nomatch],
    Bob = shell(Checkout, StartBob),
    _ = prompt(Bob, 1, <<>>),
    Ann = shell(Checkout, StartAnn),
    _ = prompt(Ann, 1, <<>>),
    Lines = string:split(string:trim(Expressions), "\n", all),
    [check(Ann, Number, string:split(Line, "%% ")) || {Number, Line} <- lists:enumerate(Lines)],
    [true = port_close(Shell) || Shell <- [Ann, Bob]].

check(Shell, Number, [Expression | Expected]) ->
    true = port_command(Shell, [Expression, "\n"]),
    Output = prompt(Shell, Number + 1, <<>>),
    Answer = string:trim(re:replace(Output, [?PROMPT, "[0-9]+> "], "", [global, {return, binary}])),
    case Expected of
        [] -> ok;
        [Value] -> {Expression, Value} = {Expression, Answer}
    end.

%% A compiled checkout, as far as the example looks at it.
checkout(Dir) ->
    Lib = filename:join([Dir, "checkout", "_build", "default", "lib"]),
    ok = filelib:ensure_path(Lib),
    ok = file:make_symlink(filename:dirname(filename:dirname(code:which(barrel_p2p))), filename:join(Lib, "barrel_p2p")),
    filename:join(Dir, "checkout").

shell(Dir, Script) ->
    File = filename:join(Dir, integer_to_list(erlang:unique_integer([positive])) ++ ".sh"),
    ok = file:write_file(File, Script),
    open_port({spawn_executable, "/bin/sh"},
              [{args, [File]}, {cd, Dir}, {env, [{"TERM", "dumb"}, {"ERL_FLAGS", false}, {"ERL_AFLAGS", false}, {"ERL_ZFLAGS", false}]},
               binary, exit_status, stderr_to_stdout]).

%% Everything up to the prompt of that number. A shell may print one twice.
prompt(Shell, Number, Seen) ->
    receive
        {Shell, {data, Data}} ->
            All = <<Seen/bits, Data/bits>>,
            case re:run(All, [?PROMPT, integer_to_list(Number), "> $"], [{capture, none}]) of
                match -> All;
                nomatch -> prompt(Shell, Number, All)
            end;
        {Shell, {exit_status, Status}} ->
            error({ended, Status, Seen})
    after ?TIMEOUT_MS ->
        error({no_prompt, Seen})
    end.

blocks(Language, Text) ->
    {match, Found} = re:run(Text, ["```", Language, "\n(.*?)```"], [global, dotall, {capture, all_but_first, binary}]),
    lists:append(Found).

root() ->
    filename:dirname(filename:dirname(filename:dirname(?FILE))).
