%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_node_name).
-moduledoc """
The one rule for what a node name looks like.

A name is `name@host`: at most 255 bytes, the name made of letters, digits, `_` and `-` (what `net_kernel` accepts), the host a DNS name or
an IPv4 or IPv6 literal. So a valid name never holds a path separator and can serve as a file name. Works on text, makes no atoms.
""".

-export([parse/1, is_host/1, is_pattern/1]).
-export_type([name/0]).

-type name() :: node() | binary() | string().

-define(MAX_BYTES, 255).

%% Splits a valid name; `error` for anything else, whatever it is.
-spec parse(term()) -> {ok, Full :: binary(), Host :: binary()} | error.
parse(Node) when is_atom(Node) ->
    parse(atom_to_binary(Node));
parse(Text) when is_list(Text) ->
    case io_lib:latin1_char_list(Text) of
        true -> parse(list_to_binary(Text));
        false -> error
    end;
parse(Full) when is_binary(Full), byte_size(Full) =< ?MAX_BYTES ->
    case binary:split(Full, <<"@">>) of
        [Name, Host] -> case is_name(Name) andalso is_host(Host) of true -> {ok, Full, Host}; false -> error end;
        _ -> error
    end;
parse(_) ->
    error.

%% DNS name, IPv4 or IPv6 literal (with or without a `%zone`), judged by its characters only.
-spec is_host(binary()) -> boolean().
is_host(Host) ->
    matches(Host, "^[0-9A-Za-z_:][0-9A-Za-z_.:%-]*\\z").

%% `name@host` where either part may be `*`.
-spec is_pattern(term()) -> boolean().
is_pattern(Pattern) when is_atom(Pattern) ->
    case binary:split(atom_to_binary(Pattern), <<"@">>) of
        [Name, Host] -> (Name =:= <<"*">> orelse is_name(Name)) andalso (Host =:= <<"*">> orelse is_host(Host));
        _ -> false
    end;
is_pattern(_) ->
    false.

-spec is_name(binary()) -> boolean().
is_name(Name) ->
    matches(Name, "^[0-9A-Za-z_-]+\\z").

-spec matches(binary(), string()) -> boolean().
matches(Text, Regex) ->
    re:run(Text, Regex, [{capture, none}]) =:= match.
