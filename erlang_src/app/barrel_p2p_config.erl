%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_config).
-moduledoc """
Configuration: read once, checked as a whole, then served from memory.

`load/0` runs when distribution starts, before any application and before most of OTP is there, so it uses only `application`, `init` and
`persistent_term`. Nothing else in the library reads the application environment. A value that was bound when distribution started stays what
it is until distribution starts again: `get/1` always tells what the running endpoint uses.
""".

-export([load/0, reload/0, get/1, validate/3, markdown/0]).
-export_type([values/0]).

-type values() :: #{atom() => term()}.

%% Reads application environment and flags. The error is one line that names key, value and what was expected.
-spec load() -> ok | {error, string()}.
load() ->
    case read() of
        {ok, Values} -> persistent_term:put(?MODULE, Values);
        {error, Text} -> {error, Text}
    end.

%% For the start of the application on a node whose distribution already runs: takes over what may still change, keeps the rest and names
%% the keys whose new value comes too late. Elixir's runtime.exs is read between the two.
-spec reload() -> {ok, TooLate :: [atom()]} | {error, string()}.
reload() ->
    Old = values(),
    case read() of
        {ok, New} ->
            Bound = maps:with([Key || #{key := Key, read := listen} <- barrel_p2p_config_schema:keys()], Old),
            persistent_term:put(?MODULE, maps:merge(New, Bound)),
            {ok, [Key || {Key, Value} <- lists:sort(maps:to_list(Bound)), maps:get(Key, New) =/= Value]};
        {error, Text} ->
            {error, Text}
    end.

%% The value in its normal form (see the schema). Loads on first use; raises {barrel_p2p, Line} if the configuration is wrong.
-spec get(atom()) -> term().
get(Key) ->
    maps:get(Key, values()).

%% Checks an environment against the schema. Flags are those of init:get_arguments/0, Cookie is the one the node has without dist_cookie.
-spec validate([{atom(), term()}], [{atom(), [string()]}], atom()) -> {ok, values()} | {error, string()}.
validate(Env, Flags, Cookie) ->
    Schema = barrel_p2p_config_schema:keys(),
    try
        Given = maps:merge(maps:from_list(Env), flags(Flags)),
        ok = only_known(maps:keys(Given), [Key || #{key := Key} <- Schema]),
        Values = maps:from_list([{Key, value(Row, Given)} || #{key := Key} = Row <- Schema]),
        ok = fits_together(Values, Cookie),
        {ok, Values}
    catch
        throw:{invalid, Format, Args} -> {error, unicode:characters_to_list(io_lib:format(Format, Args))}
    end.

%% The text of docs/reference/configuration.md.
-spec markdown() -> binary().
markdown() ->
    Head = "# Configuration\n\n"
        "<!-- Written by barrel_p2p_config:markdown/0, do not edit. -->\n\n"
        "Keys of `{barrel_p2p, [...]}` in `sys.config`. Each can also be given as a flag, `-barrel_p2p key value`, where the value is an\n"
        "Erlang term: `-barrel_p2p auth_key_dir '\"/var/lib/app/keys\"'`. Two short flags win over both: `-barrel_p2p_dist_port N` sets\n"
        "`listen_port`, `-barrel_p2p_dist_cert_dir DIR` sets `quic_cert_dir`. Relative paths start at the working directory of the node.\n\n"
        "Everything is checked when distribution starts. An unknown key, a value of the wrong type or two values that do not fit together\n"
        "stop the node with one line that names the key, the value and what was expected.\n\n"
        "*Read* says when a value is taken: `listen` when distribution starts, `start` then and again when the application starts.\n\n"
        "| Key | Type | Default | Read | Meaning |\n|---|---|---|---|---|\n",
    Rules = "\nValues that must fit together:\n\n"
        "- `link_idle_timeout_ms` is at least four times `link_keepalive_ms`, so that two lost packets do not end a link.\n"
        "- `cookie_only_nodes` needs a cookie other than `barrel_p2p`, the well-known default of old clusters.\n",
    unicode:characters_to_binary([Head, [row(Row) || Row <- barrel_p2p_config_schema:keys()], Rules]).

-spec row(barrel_p2p_config_schema:key()) -> iolist().
row(#{key := Key, type := Type, default := Default, read := Read, doc := Doc}) ->
    io_lib:format("| `~s` | ~s | `~0tp` | ~s | ~ts |~n", [Key, barrel_p2p_config_schema:describe(Type), Default, Read, Doc]).

-spec values() -> values().
values() ->
    case persistent_term:get(?MODULE, undefined) of
        undefined ->
            case load() of
                ok -> persistent_term:get(?MODULE);
                {error, Text} -> error({barrel_p2p, Text})
            end;
        Values ->
            Values
    end.

-spec read() -> {ok, values()} | {error, string()}.
read() ->
    Flags = init:get_arguments(),
    case application:load(barrel_p2p) of
        {error, {bad_environment_value, Text}} ->
            {error, not_a_term(Text, lists:append([Words || {barrel_p2p, Words} <- Flags]))};
        {error, Reason} when element(1, Reason) =/= already_loaded ->
            {error, unicode:characters_to_list(io_lib:format("the application barrel_p2p cannot be loaded: ~0tp", [Reason]))};
        _ ->
            validate(application:get_all_env(barrel_p2p), Flags, erlang:get_cookie())
    end.

%% OTP tells the value alone; the word before it is the key.
-spec not_a_term(string(), [string()]) -> string().
not_a_term(Text, [Key, Text | _]) ->
    "flag -barrel_p2p " ++ Key ++ " has value " ++ Text ++ ": expected an Erlang term; quote a string twice, as '\"" ++ Text ++ "\"'";
not_a_term(Text, [_ | Words]) ->
    not_a_term(Text, Words);
not_a_term(Text, []) ->
    "a flag -barrel_p2p has value " ++ Text ++ ": expected an Erlang term".

-spec flags([{atom(), [string()]}]) -> values().
flags(Flags) ->
    maps:from_list([{listen_port, port_flag(Value)} || {barrel_p2p_dist_port, Value} <- Flags]
                   ++ [{quic_cert_dir, directory_flag(Value)} || {barrel_p2p_dist_cert_dir, Value} <- Flags]).

-spec port_flag([string()]) -> inet:port_number().
port_flag(Values) ->
    try
        [Text] = Values,
        {ok, Port} = barrel_p2p_config_schema:check(port_number, list_to_integer(Text)),
        Port
    catch
        error:_ -> invalid("flag -barrel_p2p_dist_port has value ~ts: expected an integer from 0 to 65535", [lists:join(" ", Values)])
    end.

-spec directory_flag([string()]) -> string().
directory_flag([[_ | _] = Directory]) -> Directory;
directory_flag(Values) -> invalid("flag -barrel_p2p_dist_cert_dir has value ~ts: expected one directory", [lists:join(" ", Values)]).

-spec only_known([atom()], [atom()]) -> ok.
only_known(Given, Known) ->
    case lists:sort(Given -- Known) of
        [] -> ok;
        [Key | _] -> invalid("unknown configuration key ~0tp: ~s", [Key, suggestion(atom_to_list(Key), Known)])
    end.

-spec value(barrel_p2p_config_schema:key(), values()) -> term().
value(#{key := Key, type := Type, default := Default}, Given) ->
    Value = maps:get(Key, Given, Default),
    case barrel_p2p_config_schema:check(Type, Value) of
        {ok, Normal} -> Normal;
        error -> invalid("configuration key ~s has value ~ts: expected ~s", [Key, shown(Type, Value), barrel_p2p_config_schema:describe(Type)])
    end.

%% On one line, not endless, and a mistyped cookie stays out of the log.
-spec shown(barrel_p2p_config_schema:type(), term()) -> io_lib:chars().
shown(cookie, _) -> "(not shown)";
shown(_, Value) -> io_lib:format("~0tp", [Value], [{chars_limit, 120}]).

-spec fits_together(values(), atom()) -> ok.
fits_together(#{link_keepalive_ms := KeepAlive, link_idle_timeout_ms := Idle}, _) when Idle < 4 * KeepAlive ->
    invalid("configuration key link_idle_timeout_ms has value ~b: expected at least four times link_keepalive_ms (~b)", [Idle, KeepAlive]);
fits_together(#{cookie_only_nodes := [_ | _] = Patterns, dist_cookie := DistCookie}, Cookie)
  when DistCookie =:= barrel_p2p; DistCookie =:= undefined, Cookie =:= barrel_p2p ->
    invalid("configuration key cookie_only_nodes has value ~0tp: expected [] as long as the cookie is the well-known barrel_p2p", [Patterns]);
fits_together(_, _) ->
    ok.

-spec invalid(io:format(), [term()]) -> no_return().
invalid(Format, Args) ->
    throw({invalid, Format, Args}).

-spec suggestion(string(), [atom(), ...]) -> string().
suggestion(Key, Known) ->
    case lists:min([{distance(Key, Other), Other} || Other <- [atom_to_list(Atom) || Atom <- Known]]) of
        {Distance, Closest} when 2 * Distance =< length(Key); 2 * Distance =< length(Closest) -> "did you mean " ++ Closest ++ "?";
        _ -> "the known keys are listed in docs/reference/configuration.md"
    end.

%% Letters to insert or delete to get from A to B. Each row holds the distances from a prefix of A to all prefixes of B.
-spec distance(string(), string()) -> non_neg_integer().
distance(A, B) ->
    lists:last(lists:foldl(fun(Char, Row) -> next_row(Char, B, Row) end, lists:seq(0, length(B)), A)).

-spec next_row(char(), string(), [non_neg_integer(), ...]) -> [non_neg_integer(), ...].
next_row(Char, B, [First | _] = Above) ->
    Row = lists:foldl(fun({Other, Diagonal, _}, [_ | _] = Done) when Other =:= Char -> [Diagonal | Done];
                         ({_, _, Up}, [Left | _] = Done) -> [min(Left, Up) + 1 | Done]
                      end, [First + 1], lists:zip3(B, lists:droplast(Above), tl(Above))),
    lists:reverse(Row).
