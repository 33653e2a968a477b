%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_native).
-moduledoc """
The native core as the rest of the library sees it: loaded or not, its two handles, and its errors as text.

There is at most one open identity and one running endpoint per virtual machine; their handles are kept in `persistent_term`. Everything here
works while distribution starts: the library is loaded by an explicit call and no failure escapes as an exception of the loader.
""".

-export([load/0, open_identity/1, open_identity/2, identity/0, start_endpoint/3, stop_endpoint/0, endpoint/0]).
-export([endpoint_info/0, last_error/1, format_error/1]).
-export_type([error/0]).

-type error() :: {error, {Code :: atom(), Detail :: binary()}}.

-define(IDENTITY, {?MODULE, identity}).
-define(ENDPOINT, {?MODULE, endpoint}).

%% Loads the library; ok if it is loaded already.
-spec load() -> ok | {error, {nif_load_failed, binary()}}.
load() ->
    try library() of
        Path -> load(Path)
    catch
        _:Reason -> not_loaded(io_lib:format("its place cannot be found: ~0tp", [Reason]))
    end.

%% The identity of this node: the open one while the configuration is what it was opened with. Key pair and certificate are made when missing;
%% Name is only what the certificate calls the node.
-spec open_identity(Name :: binary()) -> {ok, barrel_p2p_nif:identity()} | error().
open_identity(Name) ->
    Settings = settings(),
    case persistent_term:get(?IDENTITY, none) of
        {Settings, Identity} ->
            {ok, Identity};
        _ ->
            case open(Settings, Name) of
                {ok, Identity} ->
                    persistent_term:put(?IDENTITY, {Settings, Identity}),
                    warn(Identity),
                    {ok, Identity};
                {error, _} = Error -> Error
            end
    end.

%% The identity in other directories: the one of this node if they are the same, otherwise one that is open only as long as the caller holds it.
-spec open_identity(KeyDir :: binary(), CertDir :: binary()) -> {ok, barrel_p2p_nif:identity()} | error().
open_identity(KeyDir, CertDir) ->
    case settings() of
        {KeyDir, CertDir, _} -> identity();
        {_, _, Options} -> open({KeyDir, CertDir, Options}, own_name())
    end.

%% The open identity; opens it on a node that runs without distribution.
-spec identity() -> {ok, barrel_p2p_nif:identity()} | error().
identity() ->
    open_identity(own_name()).

%% Binds the socket and starts the I/O thread; an endpoint that is still there is stopped first. Name is <<>> for a dynamic node name.
-spec start_endpoint(Listener :: pid(), Name :: binary(), Listen :: boolean()) -> {ok, inet:port_number()} | error().
start_endpoint(Listener, Name, Listen) ->
    ok = stop_endpoint(),
    case open_identity(Name) of
        {ok, Identity} ->
            case barrel_p2p_nif:endpoint_start(Identity, Listener, endpoint_options(Name, Listen)) of
                {ok, Endpoint, Port} -> persistent_term:put(?ENDPOINT, Endpoint), {ok, Port};
                {error, _} = Error -> Error
            end;
        {error, _} = Error ->
            Error
    end.

%% Closes all links, frees the socket and withdraws what was published. Does nothing when no endpoint runs.
-spec stop_endpoint() -> ok.
stop_endpoint() ->
    case endpoint() of
        {ok, Endpoint} ->
            _ = persistent_term:erase(?ENDPOINT),
            barrel_p2p_nif:endpoint_stop(Endpoint);
        {error, not_started} ->
            ok
    end.

-spec endpoint() -> {ok, barrel_p2p_nif:endpoint()} | {error, not_started}.
endpoint() ->
    case persistent_term:get(?ENDPOINT, none) of
        none -> {error, not_started};
        Endpoint -> {ok, Endpoint}
    end.

%% What the core tells of the running endpoint and its links.
-spec endpoint_info() -> {ok, map()} | {error, not_started}.
endpoint_info() ->
    case endpoint() of
        {ok, Endpoint} ->
            case barrel_p2p_nif:endpoint_info(Endpoint) of
                Info when map_size(Info) > 0 -> {ok, Info};
                _ -> {error, not_started}
            end;
        {error, not_started} ->
            {error, not_started}
    end.

%% Why the last dial of Node, or its last hello, failed; none after a success.
-spec last_error(Node :: binary()) -> none | {Reason :: atom(), AgoMs :: non_neg_integer()}.
last_error(Node) ->
    case endpoint() of
        {ok, Endpoint} -> barrel_p2p_nif:last_error(Endpoint, Node);
        {error, not_started} -> none
    end.

%% One line that says what is wrong, with what, and what to do.
-spec format_error({Code :: atom(), Detail :: binary() | string()}) -> string().
format_error({invalid_config, Text}) when Text =/= <<>>, Text =/= "" ->
    line(Text);
format_error({Code, Detail}) ->
    {Problem, Advice} = barrel_p2p_reason:text(Code),
    case line(Detail) of
        "" -> Problem ++ "; " ++ Advice;
        Text -> Problem ++ " (" ++ Text ++ "); " ++ Advice
    end.

%% Also of bytes that are not UTF-8, as paths may be.
-spec line(binary() | string()) -> string().
line(Text) ->
    Chars = case unicode:characters_to_list(Text) of
                List when is_list(List) -> List;
                _ -> binary_to_list(iolist_to_binary(Text))
            end,
    lists:map(fun(Char) when Char < $\s -> $\s; (Char) -> Char end, string:trim(Chars)).

-spec open({binary(), binary(), map()}, binary()) -> {ok, barrel_p2p_nif:identity()} | error().
open({KeyDir, CertDir, Options}, Name) ->
    case load() of
        ok -> barrel_p2p_nif:identity_open(KeyDir, CertDir, Options#{common_name => common_name(Name)});
        {error, _} = Error -> Error
    end.

-spec warn(barrel_p2p_nif:identity()) -> ok.
warn(Identity) ->
    #{warnings := Warnings} = barrel_p2p_nif:identity_info(Identity),
    lists:foreach(fun(Text) -> barrel_p2p_log:report(warning, #{event => key_directory, text => Text}) end, Warnings).

-spec settings() -> {KeyDir :: binary(), CertDir :: binary(), map()}.
settings() ->
    {barrel_p2p_config:get(auth_key_dir), barrel_p2p_config:get(quic_cert_dir),
     #{auth_enabled => barrel_p2p_config:get(auth_enabled),
       trust_mode => barrel_p2p_config:get(auth_trust_mode),
       cookie_only => [atom_to_binary(Pattern) || Pattern <- barrel_p2p_config:get(cookie_only_nodes)],
       accept_rotation => barrel_p2p_config:get(auth_accept_rotation)}}.

-spec endpoint_options(binary(), boolean()) -> map().
endpoint_options(Name, Listen) ->
    #{name => Name,
      listen => Listen,
      port => barrel_p2p_config:get(listen_port),
      hello_timeout_ms => barrel_p2p_config:get(auth_handshake_timeout),
      dial_timeout_ms => barrel_p2p_config:get(link_dial_timeout_ms),
      keepalive_ms => barrel_p2p_config:get(link_keepalive_ms),
      idle_timeout_ms => barrel_p2p_config:get(link_idle_timeout_ms),
      dist_lanes => barrel_p2p_config:get(dist_lanes)}.

-spec own_name() -> binary().
own_name() ->
    case node() of
        nonode@nohost -> <<>>;
        Node -> atom_to_binary(Node)
    end.

-spec common_name(binary()) -> binary().
common_name(<<>>) -> <<"barrel_p2p-node">>;
common_name(Name) -> Name.

-spec load(string()) -> ok | {error, {nif_load_failed, binary()}}.
load(Path) ->
    try barrel_p2p_nif:load(Path) of
        ok -> ok;
        {error, {reload, _}} -> ok;
        {error, {_, Text}} -> not_loaded([Path, ".so: ", loader_reason(Path, Text)])
    catch
        _:Reason -> not_loaded(io_lib:format("~ts.so: ~0tp", [Path, Reason]))
    end.

-spec not_loaded(io_lib:chars()) -> {error, {nif_load_failed, binary()}}.
not_loaded(Text) ->
    {error, {nif_load_failed, unicode:characters_to_binary(Text)}}.

%% The part of OTP's text that does not repeat the path.
-spec loader_reason(file:filename(), string()) -> iodata().
loader_reason(Path, Text) ->
    case string:split(Text, Path ++ ".so: ") of
        [_, Reason] -> string:trim(Reason, trailing, "'\n");
        [Whole] -> string:trim(Whole)
    end.

%% The library stands in priv/ of the application, or beside ebin/ when the code path alone names us.
-spec library() -> file:filename().
library() ->
    Priv = case code:priv_dir(barrel_p2p) of
               {error, bad_name} -> filename:join(filename:dirname(filename:dirname(code:which(?MODULE))), "priv");
               Directory -> Directory
           end,
    filename:join(Priv, "barrel_p2p_nif").
