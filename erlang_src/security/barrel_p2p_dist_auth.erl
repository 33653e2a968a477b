%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_dist_auth).
-moduledoc """
The identity of this node: an Ed25519 key pair in `auth_key_dir`.

Signing and verifying happen in the native core, which never gives the private key away; there is nothing here to export it, to make
challenges or to check answers.
""".

-export([init/0, ensure_keypair/0, get_public_key/0, is_cookie_only_allowed/1]).

%% The same as ensure_keypair/0.
-spec init() -> ok | barrel_p2p_native:error().
init() ->
    ensure_keypair().

%% Makes the key pair if there is none. Distribution does this by itself when it starts; a provisioning script calls it before.
-spec ensure_keypair() -> ok | barrel_p2p_native:error().
ensure_keypair() ->
    case barrel_p2p_native:identity() of
        {ok, _} -> ok;
        {error, _} = Error -> Error
    end.

-spec get_public_key() -> {ok, barrel_p2p_dist_keys:public_key()} | barrel_p2p_native:error().
get_public_key() ->
    case barrel_p2p_native:identity() of
        {ok, Identity} -> {ok, maps:get(public_key, barrel_p2p_nif:identity_info(Identity))};
        {error, _} = Error -> Error
    end.

%% Does the name match a pattern of `cookie_only_nodes`? Makes no atoms. False when the identity cannot be opened.
-spec is_cookie_only_allowed(node() | binary()) -> boolean().
is_cookie_only_allowed(Node) when is_atom(Node) ->
    is_cookie_only_allowed(atom_to_binary(Node));
is_cookie_only_allowed(Node) when is_binary(Node) ->
    case barrel_p2p_native:identity() of
        {ok, Identity} -> barrel_p2p_nif:cookie_only(Identity, Node);
        {error, _} -> false
    end.
