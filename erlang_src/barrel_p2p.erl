%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p).
-moduledoc """
The front door: what an operator asks a running node.
""".

-export([info/0, last_error/1]).
-export_type([info/0, link_info/0]).

-type link_info() :: #{peer := binary(), fingerprint := binary(), address := {inet:ip_address(), inet:port_number()},
                       role := dialled | accepted, atom() => term()}.
-type info() :: #{node := node(), port := inet:port_number() | undefined, fingerprint := binary() | undefined,
                  auth_enabled := boolean(), trust_mode := tofu | strict | undefined, links := [link_info()]}.

%% What this node is and whom it is linked to; a link also tells rtt_us, up_for_ms and byte counts. Fingerprints are lower-case hexadecimal.
%% `undefined` stands for what is not there: the port without distribution, fingerprint and mode when the identity cannot be opened.
-spec info() -> info().
info() ->
    {Port, Links} = endpoint(),
    {Fingerprint, TrustMode} = identity(),
    #{node => node(), port => Port, fingerprint => Fingerprint, trust_mode => TrustMode,
      auth_enabled => barrel_p2p_config:get(auth_enabled), links => Links}.

%% Why the last dial of the node, or its last attempt to connect to us, failed, and how many milliseconds ago; none if it went well.
%% `net_kernel:connect_node/1` only says false; this is the reason, and `barrel_p2p_native:format_error/1` puts it in words.
-spec last_error(node() | binary()) -> none | {Reason :: atom(), AgoMs :: non_neg_integer()}.
last_error(Node) when is_atom(Node) -> barrel_p2p_native:last_error(atom_to_binary(Node));
last_error(Node) when is_binary(Node) -> barrel_p2p_native:last_error(Node).

-spec endpoint() -> {inet:port_number() | undefined, [link_info()]}.
endpoint() ->
    case barrel_p2p_native:endpoint_info() of
        {ok, #{port := Port, links := Links}} -> {Port, [link_info(Link) || Link <- Links]};
        {error, not_started} -> {undefined, []}
    end.

-spec link_info(map()) -> link_info().
link_info(#{node := Peer, fingerprint := Fingerprint} = Link) ->
    (maps:without([node, public_key], Link))#{peer => Peer, fingerprint => barrel_p2p_log:fingerprint(Fingerprint)}.

-spec identity() -> {Fingerprint :: binary() | undefined, tofu | strict | undefined}.
identity() ->
    case barrel_p2p_dist_auth:get_public_key() of
        {ok, Key} -> {barrel_p2p_log:fingerprint(barrel_p2p_dist_keys:fingerprint(Key)), barrel_p2p_dist_keys:get_trust_mode()};
        {error, _} -> {undefined, undefined}
    end.
