%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_config_schema).
-moduledoc """
The configuration keys: one row per key, and what each type accepts.

`check/2` also brings a value into the one form that the rest of the code reads: paths absolute and binary, hosts binary, backends as
`{Module, Args}`. Whether two values fit together is judged in `barrel_p2p_config`.
""".

-export([keys/0, check/2, describe/1, address/1]).
-export_type([key/0, type/0]).

-type type() :: port_number | udp_port | path | cookie | boolean | {one_of, [atom(), ...]} | milliseconds | name_patterns | backends | nodes.
-type element() :: atom() | {term(), term()}.
%% read: `listen` when distribution starts; `start` then and again when the application starts.
-type key() :: #{key := atom(), type := type(), default := term(), read := listen | start, doc := string()}.

%% In the order of the reference page. The defaults stand in barrel_p2p.app.src too; a test keeps the two equal.
-spec keys() -> [key(), ...].
keys() ->
    [#{key => listen_port, type => port_number, default => 0, read => listen,
       doc => "UDP port of the node; 0 takes a free one, which suits discovery by file, while a fixed port is what firewalls and DNS need."},
     #{key => quic_cert_dir, type => path, default => "data/quic", read => listen,
       doc => "Directory of the TLS certificate, made on first start; nodes must not share it."},
     #{key => dist_cookie, type => cookie, default => undefined, read => start,
       doc => "Cookie set when the application starts; `undefined` keeps the one of `-setcookie`, which also covers connections made earlier."},
     #{key => auth_enabled, type => boolean, default => true, read => listen,
       doc => "Whether nodes prove an Ed25519 identity; `false` leaves only the cookie to tell friend from foe and must be the same on both sides."},
     #{key => auth_trust_mode, type => {one_of, [tofu, strict]}, default => tofu, read => listen,
       doc => "What to do with a node whose key is not known: `tofu` pins the key on first contact, `strict` refuses until an operator stored it."},
     #{key => auth_key_dir, type => path, default => "data/keys", read => listen,
       doc => "Directory of the node's key pair and of the pinned keys; nodes must not share it, and losing it means a new identity."},
     #{key => auth_handshake_timeout, type => milliseconds, default => 10000, read => listen,
       doc => "How long a peer may take to identify itself; raise it for very slow links, lower it to shed silent peers sooner."},
     #{key => auth_timestamp_window, type => milliseconds, default => 30000, read => listen,
       doc => "Accepted for old configurations and without effect: the handshake is bound to its TLS channel and needs no clocks."},
     #{key => auth_accept_rotation, type => boolean, default => true, read => listen,
       doc => "Whether a new key signed by the pinned one replaces the pin; `false` makes every key change the work of an operator."},
     #{key => cookie_only_nodes, type => name_patterns, default => [], read => listen,
       doc => "Nodes that need no pinned key, only the cookie; each pattern widens what a leaked cookie can do, so keep it for probes."},
     #{key => discovery_backends, type => backends, read => start,
       default => [barrel_p2p_discovery_static, barrel_p2p_discovery_file, barrel_p2p_discovery_dns],
       doc => "Modules that turn a node name into addresses, asked in this order; the first that knows the node answers."},
     #{key => discovery_nodes, type => nodes, default => [], read => start,
       doc => "Addresses of nodes known beforehand, for the static backend; a node may be listed once per address."},
     #{key => discovery_dir, type => path, default => "data/discovery", read => start,
       doc => "Directory where nodes leave their port for each other; nodes on one machine, or on a shared disk, must name the same one."},
     #{key => discovery_dns_port, type => udp_port, default => 4433, read => start,
       doc => "Port to dial when DNS knows the host but has no SRV record for it; the peers must listen on it."},
     #{key => link_keepalive_ms, type => milliseconds, default => 1000, read => listen,
       doc => "How often an idle link shows that it is alive; lower notices a dead peer sooner, higher saves packets."},
     #{key => link_idle_timeout_ms, type => milliseconds, default => 5000, read => listen,
       doc => "Silence after which a peer counts as dead, so the longest time from its death to nodedown; raise it on lossy networks."},
     #{key => link_dial_timeout_ms, type => milliseconds, default => 5000, read => listen,
       doc => "How long a dial may take; more than the net_setuptime of the kernel (7 s) has no effect."}].

-spec check(type(), term()) -> {ok, term()} | error.
check(port_number, Port) when is_integer(Port), Port >= 0, Port =< 65535 -> {ok, Port};
check(udp_port, Port) when is_integer(Port), Port >= 1, Port =< 65535 -> {ok, Port};
check(path, Path) -> absolute(Path);
check(cookie, Cookie) when is_atom(Cookie), Cookie =/= nocookie -> {ok, Cookie};
check(boolean, Value) when is_boolean(Value) -> {ok, Value};
check({one_of, Values}, Value) -> case lists:member(Value, Values) of true -> {ok, Value}; false -> error end;
check(milliseconds, Ms) when is_integer(Ms), Ms >= 1, Ms =< 16#ffffffff -> {ok, Ms};
check(name_patterns, List) -> each(fun pattern/1, List);
check(backends, List) -> each(fun backend/1, List);
check(nodes, List) -> each(fun node_address/1, List);
check(_, _) -> error.

%% What the type accepts, as the end of a sentence that begins with expected.
-spec describe(type()) -> string().
describe(port_number) -> "an integer from 0 to 65535";
describe(udp_port) -> "an integer from 1 to 65535";
describe(path) -> "a non-empty string or binary";
describe(cookie) -> "an atom";
describe(boolean) -> "true or false";
describe({one_of, Values}) -> lists:flatten(lists:join(" or ", [atom_to_list(Value) || Value <- Values]));
describe(milliseconds) -> "a positive integer (milliseconds)";
describe(name_patterns) -> "a list of atoms name@host, where either part may be *";
describe(backends) -> "a list of modules or {Module, Args}";
describe(nodes) -> "a list of {Node, {Host, Port}} or {Node, Host, Port}".

%% A place to dial, as {HostText, Port}; the host may be given as a string, a binary or an IP tuple.
-spec address(term()) -> {ok, {binary(), inet:port_number()}} | error.
address({Host, Port}) ->
    case {host(Host), check(udp_port, Port)} of
        {{ok, Text}, {ok, _}} -> {ok, {Text, Port}};
        _ -> error
    end;
address(_) ->
    error.

-spec each(fun((term()) -> {ok, element()} | error), term()) -> {ok, [element()]} | error.
each(_Check, []) ->
    {ok, []};
each(Check, [Value | Rest]) ->
    case {Check(Value), each(Check, Rest)} of
        {{ok, Good}, {ok, Goods}} -> {ok, [Good | Goods]};
        _ -> error
    end;
each(_Check, _) ->
    error.

%% The working directory may change while the node runs; the place of its keys must not.
-spec absolute(term()) -> {ok, binary()} | error.
absolute(Path) when (is_list(Path) orelse is_binary(Path)), Path =/= [], Path =/= <<>> ->
    try unicode:characters_to_binary(Path) of
        Text when is_binary(Text) -> {ok, filename:absname(Text, working_directory())};
        _ -> error
    catch
        error:badarg -> error
    end;
absolute(_) ->
    error.

%% prim_file, since the file server does not run yet when distribution starts on OTP 25.
-spec working_directory() -> file:filename_all().
working_directory() ->
    case prim_file:get_cwd() of
        {ok, Directory} -> Directory;
        {error, _} -> "."
    end.

-spec pattern(term()) -> {ok, atom()} | error.
pattern(Pattern) when is_atom(Pattern) -> case barrel_p2p_node_name:is_pattern(Pattern) of true -> {ok, Pattern}; false -> error end;
pattern(_) -> error.

-spec backend(term()) -> {ok, {module(), term()}} | error.
backend({Module, Args}) when is_atom(Module) -> {ok, {Module, Args}};
backend(Module) when is_atom(Module) -> {ok, {Module, #{}}};
backend(_) -> error.

-spec node_address(term()) -> {ok, {binary(), {binary(), inet:port_number()}}} | error.
node_address({Node, Host, Port}) -> node_address({Node, {Host, Port}});
node_address({Node, Address}) ->
    case {barrel_p2p_node_name:parse(Node), address(Address)} of
        {{ok, Name, _}, {ok, Normal}} -> {ok, {Name, Normal}};
        _ -> error
    end;
node_address(_) ->
    error.

-spec host(term()) -> {ok, binary()} | error.
host(Host) when is_tuple(Host) ->
    case inet:is_ip_address(Host) of
        true -> {ok, list_to_binary(inet:ntoa(Host))};
        false -> error
    end;
host(Host) when is_binary(Host) ->
    case barrel_p2p_node_name:is_host(Host) of
        true -> {ok, Host};
        false -> error
    end;
host(Host) when is_list(Host) ->
    case io_lib:latin1_char_list(Host) of
        true -> host(list_to_binary(Host));
        false -> error
    end;
host(_) ->
    error.
