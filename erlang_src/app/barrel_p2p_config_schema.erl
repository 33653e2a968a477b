%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_config_schema).
-moduledoc """
The configuration keys: one row per key, and what each type accepts.

`check/2` also brings a value into the one form that the rest of the code reads: paths absolute and binary, hosts binary, backends as
`{Module, Args}`. Whether two values fit together is judged in `barrel_p2p_config`.
""".

-export([keys/0, check/2, describe/1, address/1, contact/1]).
-export_type([key/0, type/0, contact/0]).

-type type() :: port_number | udp_port | path | cookie | boolean | {one_of, [atom(), ...]} | milliseconds | period | count | lanes | name_patterns
              | backends | nodes | contacts | list.
%% Whom to join: `<<>>` is a node whose name is not known yet, no address means that discovery knows it.
-type contact() :: {Name :: binary(), none | {Host :: binary(), inet:port_number()}}.
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
       doc => "How long a dial may take; more than the net_setuptime of the kernel (7 s) has no effect."},
     #{key => dist_lanes, type => lanes, default => 8, read => listen,
       doc => "Streams of one channel of Erlang distribution in each direction, so that small messages do not wait behind large ones; one is for "
              "those who send little, each of the others for one sender of much or a few; 1 keeps everything in one order."},
     #{key => contact_nodes, type => contacts, default => [], read => start,
       doc => "Whom to join when this node has no neighbour: node names, `{Node, {Host, Port}}`, or `{Host, Port}` when the name is not known; "
              "every address of a host is a contact."},
     #{key => contact_retry_ms, type => milliseconds, default => 5000, read => start,
       doc => "How long to wait before the contacts are tried again while there is no neighbour."},
     #{key => active_size, type => count, default => 5, read => start,
       doc => "Neighbours a node gossips with; more make the overlay sturdier and every broadcast dearer, 5 is enough for thousands of nodes."},
     #{key => passive_size, type => count, default => 30, read => start,
       doc => "Nodes kept in reserve to replace a lost neighbour; should grow with the logarithm of the cluster."},
     #{key => arwl, type => count, default => 6, read => start,
       doc => "Steps that the news of a joining node walks before a node takes it as neighbour; longer walks mix the overlay better."},
     #{key => prwl, type => count, default => 3, read => start,
       doc => "Where on that walk the joining node is put into a passive view, and how far a shuffle walks; not more than `arwl`."},
     #{key => shuffle_length, type => count, default => 8, read => start,
       doc => "Nodes told in one shuffle; more refresh the passive views faster and make its message longer."},
     #{key => shuffle_period, type => milliseconds, default => 10000, read => start,
       doc => "Time between two shuffles; shorter forgets dead nodes sooner, longer saves traffic."},
     #{key => max_fail_count, type => count, default => 5, read => start,
       doc => "Failed attempts after which a node is taken out of the passive view."},
     #{key => base_backoff_ms, type => milliseconds, default => 1000, read => start,
       doc => "Wait after the first failed attempt to make a passive node a neighbour; it doubles with each further one."},
     #{key => passive_max_age_ms, type => milliseconds, default => 300000, read => start,
       doc => "How long a node that nobody mentions stays in the passive view."},
     #{key => pending_timeout_ms, type => milliseconds, default => 30000, read => start,
       doc => "The longest that a request to a node may stay unanswered before it is given up."},
     #{key => member_heartbeat_ms, type => milliseconds, default => 2000, read => start,
       doc => "How often a node confirms in the directory that it lives; large clusters stretch it, so that the traffic per node stays the same."},
     #{key => member_ttl_ms, type => milliseconds, default => 6000, read => start,
       doc => "Accepted for old configurations and without effect: a member that has not confirmed for three of its periods is suspected and asked."},
     #{key => max_clock_skew_ms, type => milliseconds, default => 60000, read => start,
       doc => "How far ahead of the own clock a timestamp of another node may be; what is further is refused, so one wrong clock cannot carry "
              "the others away."},
     #{key => replicated_maps, type => list, default => [], read => start,
       doc => "Maps to open when the application starts, each `{Name, Options}`; an entry that cannot be opened is logged, and the others are."},
     #{key => barrel_p2p_map_scan_ms, type => milliseconds, default => 1000, read => start,
       doc => "How often a map with `prune_on_peer_down` looks whether what nodes have left behind is due to be removed; default of `scan_ms`."},
     #{key => barrel_p2p_map_tombstone_ttl_ms, type => milliseconds, default => 3600000, read => start,
       doc => "How long a map remembers that a key was removed, at least; default of the option `tombstone_ttl_ms`."},
     #{key => barrel_p2p_map_data_dir, type => path, default => "data/maps", read => start,
       doc => "Directory of the files of maps with `persist`; nodes must not share it."},
     #{key => replica_anti_entropy_ms, type => period, default => 30000, read => start,
       doc => "How often a node compares its stores with those of some neighbour, a quarter more or less; 0 leaves it to new links."},
     #{key => tombstone_max_age_ms, type => milliseconds, default => 86400000, read => start,
       doc => "How long stores remember at most that something was removed while some member cannot be reached; whoever returns later may bring it "
              "back."},
     #{key => router_max_in_flight, type => count, default => 256, read => start,
       doc => "How many questions for a service that is not known yet a node deals with at a time; further ones are answered with `overloaded` "
              "and counted."},
     #{key => proxy_cast_max_in_flight, type => count, default => 32, read => start,
       doc => "How many messages a proxy keeps for a node that it cannot send to at the moment; further ones are dropped and counted."},
     #{key => dist_gc_sweep_period_ms, type => milliseconds, default => 60000, read => start,
       doc => "How often idle dist channels are looked for."},
     #{key => dist_gc_min_age_ms, type => milliseconds, default => 300000, read => start,
       doc => "A dist channel without a signal in either direction for this long is closed, unless it leads to a neighbour; links and "
              "monitors across it fire with `noconnection`, the next message opens it again."},
     #{key => churn_window_ms, type => milliseconds, default => 30000, read => start,
       doc => "Accepted for old configurations and without effect: the shuffle period is fixed."},
     #{key => passive_cleanup_period, type => milliseconds, default => 60000, read => start,
       doc => "Accepted for old configurations and without effect: every entry has its own time."},
     #{key => route_cache_sweep_period_ms, type => milliseconds, default => 60000, read => start,
       doc => "Accepted for old configurations and without effect: every node knows every service, so no routes are kept."},
     #{key => member_skew_ms, type => milliseconds, default => 5000, read => start,
       doc => "Accepted for old configurations and without effect: liveness does not depend on clocks that agree."}].

-spec check(type(), term()) -> {ok, term()} | error.
check(port_number, Port) when is_integer(Port), Port >= 0, Port =< 65535 -> {ok, Port};
check(lanes, Lanes) when is_integer(Lanes), Lanes >= 1, Lanes =< 32 -> {ok, Lanes};
check(udp_port, Port) when is_integer(Port), Port >= 1, Port =< 65535 -> {ok, Port};
check(path, Path) -> absolute(Path);
check(cookie, Cookie) when is_atom(Cookie), Cookie =/= nocookie -> {ok, Cookie};
check(boolean, Value) when is_boolean(Value) -> {ok, Value};
check({one_of, Values}, Value) -> case lists:member(Value, Values) of true -> {ok, Value}; false -> error end;
check(milliseconds, Ms) when is_integer(Ms), Ms >= 1, Ms =< 16#ffffffff -> {ok, Ms};
check(period, Ms) when is_integer(Ms), Ms >= 0, Ms =< 16#ffffffff -> {ok, Ms};
check(count, Count) when is_integer(Count), Count >= 1, Count =< 16#ffff -> {ok, Count};
check(name_patterns, List) -> each(fun pattern/1, List);
check(backends, List) -> each(fun backend/1, List);
check(nodes, List) -> each(fun node_address/1, List);
check(contacts, List) -> each(fun contact/1, List);
check(list, List) when is_list(List), length(List) >= 0 -> {ok, List};
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
describe(period) -> "an integer from 0 (milliseconds)";
describe(lanes) -> "an integer from 1 to 32";
describe(count) -> "an integer from 1 to 65535";
describe(name_patterns) -> "a list of atoms name@host, where either part may be *";
describe(backends) -> "a list of modules or {Module, Args}";
describe(nodes) -> "a list of {Node, {Host, Port}} or {Node, Host, Port}";
describe(contacts) -> "a list of Node, {Node, {Host, Port}} or {Host, Port}";
describe(list) -> "a list".

%% A place to dial, as {HostText, Port}; the host may be given as a string, a binary or an IP tuple.
-spec address(term()) -> {ok, {binary(), inet:port_number()}} | error.
address({Host, Port}) ->
    case {host(Host), check(udp_port, Port)} of
        {{ok, Text}, {ok, _}} -> {ok, {Text, Port}};
        _ -> error
    end;
address(_) ->
    error.

%% The three ways to name a node to join.
-spec contact(term()) -> {ok, contact()} | error.
contact({Node, {_, _} = Address}) ->
    node_address({Node, Address});
contact({_, _} = Address) ->
    case address(Address) of
        {ok, Normal} -> {ok, {<<>>, Normal}};
        error -> error
    end;
contact(Node) ->
    case barrel_p2p_node_name:parse(Node) of
        {ok, Name, _} -> {ok, {Name, none}};
        error -> error
    end.

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
