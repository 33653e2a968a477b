%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_discovery_file).
-moduledoc """
Discovery through a directory that the nodes share: one machine, or a shared disk.

Each node leaves `<discovery_dir>/<node>.endpoint`, which holds one Erlang term, the host part of its name and its port. The native core writes
the file atomically and removes it when the endpoint stops or the virtual machine halts, so a file is stale only after a kill; the next start
overwrites it. Reading goes around the file server, since this runs inside `net_kernel`, and makes no atoms from what a file holds.
""".

-behaviour(barrel_p2p_discovery).
-export([register/3, unregister/1, lookup/2, list_nodes/1, knows/1]).

-include_lib("kernel/include/file.hrl").

-define(MAX_FILE_BYTES, 4096).
-define(SUFFIX, ".endpoint").

-type lookup_error() :: not_found | malformed_endpoint | file:posix().

-spec register(barrel_p2p_discovery:node_name(), inet:port_number(), State) -> {ok, State} | {error, string() | invalid_node_name}.
register(Node, Port, State) ->
    case barrel_p2p_node_name:parse(Node) of
        {ok, Name, Host} -> told(with_endpoint(fun(Endpoint) -> barrel_p2p_nif:publish(Endpoint, path(Name), content(Host, Port)) end), State);
        error -> {error, invalid_node_name}
    end.

-spec unregister(barrel_p2p_discovery:node_name()) -> ok | {error, string() | invalid_node_name}.
unregister(Node) ->
    case barrel_p2p_node_name:parse(Node) of
        {ok, Name, _} -> with_endpoint(fun(Endpoint) -> barrel_p2p_nif:unpublish(Endpoint, path(Name)) end);
        error -> {error, invalid_node_name}
    end.

-spec lookup(barrel_p2p_discovery:node_name(), string()) -> {ok, {Host :: string(), inet:port_number()}} | {error, lookup_error()}.
lookup(Node, _Host) ->
    case barrel_p2p_node_name:parse(Node) of
        {ok, Name, _} -> read(path(Name));
        error -> {error, not_found}
    end.

-spec list_nodes(string()) -> {ok, [{node(), inet:port_number()}]} | {error, file:posix()}.
list_nodes(Host) ->
    case prim_file:list_dir(barrel_p2p_config:get(discovery_dir)) of
        {ok, Files} -> {ok, lists:append([listed(File, list_to_binary(Host)) || File <- Files])};
        {error, enoent} -> {ok, []};
        {error, Reason} -> {error, Reason}
    end.

-spec knows(barrel_p2p_discovery:node_name()) -> boolean().
knows(Node) ->
    element(1, lookup(Node, "")) =:= ok.

%% An atom is made for a well-formed name of the wanted host alone, whose file is good.
-spec listed(file:filename(), binary()) -> [{node(), inet:port_number()}].
listed(File, Host) ->
    case filename:extension(File) =:= ?SUFFIX andalso barrel_p2p_node_name:parse(filename:basename(File, ?SUFFIX)) of
        {ok, Name, Host} -> [{binary_to_atom(Name), Port} || {ok, {_, Port}} <- [read(path(Name))]];
        _ -> []
    end.

-spec path(binary()) -> binary().
path(Name) ->
    filename:join(barrel_p2p_config:get(discovery_dir), <<Name/binary, ?SUFFIX>>).

-spec content(binary(), inet:port_number()) -> binary().
content(Host, Port) ->
    <<"{\"", Host/binary, "\", ", (integer_to_binary(Port))/binary, "}.\n">>.

-spec read(binary()) -> {ok, {string(), inet:port_number()}} | {error, lookup_error()}.
read(Path) ->
    case prim_file:read_file_info(Path) of
        {ok, #file_info{type = regular, size = Size}} when Size =< ?MAX_FILE_BYTES ->
            case prim_file:read_file(Path) of
                {ok, Content} -> parse(Content);
                {error, Reason} -> {error, not_there(Reason)}
            end;
        {ok, _} ->
            {error, malformed_endpoint};
        {error, Reason} ->
            {error, not_there(Reason)}
    end.

-spec not_there(file:posix()) -> file:posix() | not_found.
not_there(enoent) -> not_found;
not_there(Reason) -> Reason.

%% Not erl_scan: it makes an atom of every word in the file.
-spec parse(binary()) -> {ok, {string(), inet:port_number()}} | {error, malformed_endpoint}.
parse(Content) ->
    case re:run(Content, "^\\s*\\{\\s*\"([^\"]+)\"\\s*,\\s*([0-9]{1,5})\\s*\\}\\s*\\.\\s*\\z", [{capture, all_but_first, binary}]) of
        {match, [Host, Port]} -> endpoint(Host, binary_to_integer(Port));
        nomatch -> {error, malformed_endpoint}
    end.

-spec endpoint(binary(), non_neg_integer()) -> {ok, {string(), inet:port_number()}} | {error, malformed_endpoint}.
endpoint(Host, Port) when Port >= 1, Port =< 65535 ->
    case barrel_p2p_node_name:is_host(Host) of
        true -> {ok, {binary_to_list(Host), Port}};
        false -> {error, malformed_endpoint}
    end;
endpoint(_, _) ->
    {error, malformed_endpoint}.

-spec with_endpoint(fun((barrel_p2p_nif:endpoint()) -> ok | barrel_p2p_nif:error())) -> ok | {error, string()}.
with_endpoint(Do) ->
    case barrel_p2p_native:endpoint() of
        {ok, Endpoint} ->
            case Do(Endpoint) of
                ok -> ok;
                {error, Error} -> {error, barrel_p2p_native:format_error(Error)}
            end;
        {error, not_started} ->
            {error, barrel_p2p_native:format_error({not_started, <<>>})}
    end.

-spec told(ok | {error, string()}, State) -> {ok, State} | {error, string()}.
told(ok, State) -> {ok, State};
told({error, Text}, _State) -> {error, Text}.
