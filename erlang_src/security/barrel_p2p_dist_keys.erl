%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_dist_keys).
-moduledoc """
The keys this node trusts: one pinned Ed25519 public key per node name.

Pins live in the native core and in files of `<auth_key_dir>/trusted/`; a change counts from the next handshake on, links that are up stay up.
The functions work with and without distribution. If the identity of this node cannot be opened they raise `{barrel_p2p, Line}`, where the
line says why.
""".

-include("barrel_p2p.hrl").

-export([store_key/2, store_key_if_new/2, lookup_key/1, lookup_pin/1, delete_key/1, is_trusted/2, list_trusted/0]).
-export([set_trust_mode/1, get_trust_mode/0, fingerprint/1]).
-export_type([public_key/0, trust_mode/0]).

-type public_key() :: <<_:256>>.
-type trust_mode() :: tofu | strict.
-type node_name() :: node() | binary().
-type failure() :: {Code :: atom(), Detail :: binary()}.

%% Pins the key for the node, whatever was pinned before.
-spec store_key(node_name(), binary()) -> ok | {error, invalid_key_size | failure()}.
store_key(Node, PublicKey) when byte_size(PublicKey) =:= 32 ->
    barrel_p2p_nif:trust_put(identity(), name(Node), PublicKey, replace);
store_key(_Node, PublicKey) when is_binary(PublicKey) ->
    {error, invalid_key_size}.

%% Pins the key if none is pinned; fine if the very same is.
-spec store_key_if_new(node_name(), binary()) -> ok | {error, key_mismatch | invalid_key_size | failure()}.
store_key_if_new(Node, PublicKey) when byte_size(PublicKey) =:= 32 ->
    case barrel_p2p_nif:trust_put(identity(), name(Node), PublicKey, if_new) of
        {error, {key_mismatch, _}} -> {error, key_mismatch};
        Result -> Result
    end;
store_key_if_new(_Node, PublicKey) when is_binary(PublicKey) ->
    {error, invalid_key_size}.

-spec lookup_key(node_name()) -> {ok, public_key()} | {error, not_found}.
lookup_key(Node) ->
    case lookup_pin(Node) of
        {pinned, PublicKey} -> {ok, PublicKey};
        not_pinned -> {error, not_found}
    end.

-spec lookup_pin(node_name()) -> not_pinned | {pinned, public_key()}.
lookup_pin(Node) ->
    barrel_p2p_nif:trust_lookup(identity(), name(Node)).

%% Forgets the pin, on this node only. With trust mode `tofu` the next contact pins whatever key the node then has.
-spec delete_key(node_name()) -> ok | {error, failure()}.
delete_key(Node) ->
    barrel_p2p_nif:trust_delete(identity(), name(Node)).

%% Is exactly this key pinned for the node?
-spec is_trusted(node_name(), binary()) -> boolean().
is_trusted(Node, PublicKey) ->
    lookup_pin(Node) =:= {pinned, PublicKey}.

%% All pins. Makes the atoms of node names that stand in this node's own trust store, which holds only names that were verified or stored here.
-spec list_trusted() -> [#peer_key{}].
list_trusted() ->
    [#peer_key{node = binary_to_atom(Name), fingerprint = fingerprint(PublicKey), public_key = PublicKey, added_at = AddedMs, trust_level = Level}
     || {Name, PublicKey, Level, AddedMs} <- barrel_p2p_nif:trust_list(identity())].

%% Takes effect with the next handshake and lasts until the virtual machine stops; `auth_trust_mode` is the lasting setting.
-spec set_trust_mode(trust_mode()) -> ok.
set_trust_mode(Mode) when Mode =:= tofu; Mode =:= strict ->
    barrel_p2p_nif:set_trust_mode(identity(), Mode).

-spec get_trust_mode() -> trust_mode().
get_trust_mode() ->
    barrel_p2p_nif:trust_mode(identity()).

%% SHA-256 of the key: what two operators compare.
-spec fingerprint(public_key()) -> <<_:256>>.
fingerprint(<<_:32/binary>> = PublicKey) ->
    crypto:hash(sha256, PublicKey).

-spec identity() -> barrel_p2p_nif:identity().
identity() ->
    case barrel_p2p_native:identity() of
        {ok, Identity} -> Identity;
        {error, Error} -> error({barrel_p2p, barrel_p2p_native:format_error(Error)})
    end.

-spec name(node_name()) -> binary().
name(Node) when is_atom(Node) -> atom_to_binary(Node);
name(Node) when is_binary(Node) -> Node.
