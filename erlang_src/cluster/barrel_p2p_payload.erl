%% SPDX-License-Identifier: Apache-2.0
-module(barrel_p2p_payload).
-moduledoc """
A tag and a term as the bytes that gossip carries.

The bytes come from members, who have proved that they know the cookie and so may do anything Erlang distribution lets them do, making atoms included.
They may still not make a term larger than what they sent: compressed terms, which claim their size, are refused.
""".

-export([encode/2, decode/1]).

-define(EXTERNAL_TERM, 131).
-define(COMPRESSED, 80).

-spec encode(Tag :: term(), Payload :: term()) -> erlang:iovec().
encode(Tag, Payload) ->
    term_to_iovec({Tag, Payload}).

-spec decode(binary()) -> {ok, {Tag :: term(), Payload :: term()}} | error.
decode(<<?EXTERNAL_TERM, ?COMPRESSED, _/binary>>) ->
    error;
decode(Bytes) ->
    try binary_to_term(Bytes) of
        {_Tag, _Payload} = Pair -> {ok, Pair};
        _ -> error
    catch
        error:badarg -> error
    end.
