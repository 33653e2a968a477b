%% SPDX-License-Identifier: Apache-2.0
-module(order_sender).
-moduledoc """
A process that sends numbered signals to one receiver on the other node, in every form that reaches it, and then ends. See `order_flood`.

It never has more under way than a window, which the receiver opens again: so the run is bounded in memory, whatever the carrier buffers.
""".

-export([life/1]).
-export_type([plan/0]).

%% receiver, name, alias: three ways to the same process. own_name: the name to be monitored by. count: signals between greeting and end.
%% call: the last act is the reply of a call.
-type plan() :: #{receiver := pid(), name := {atom(), node()}, alias := reference(), own_name := atom(), seed := term(),
                  count := non_neg_integer(), bulky := boolean(), call := boolean(), large_reason := boolean()}.

%% sent and acked: numbers. bulk: numbers of the bulk under way, newest first. led: number of the last signal behind a new group leader.
-record(sender, {plan :: plan(), sent = 0 :: non_neg_integer(), acked = 0 :: non_neg_integer(), acks = 0 :: non_neg_integer(),
                 bulk = [] :: [pos_integer()], led = 0 :: non_neg_integer(), leaders :: {pid(), pid()}}).

-define(WINDOW, 256).
-define(BULK_WINDOW, 3).

%% One in so many signals is bulk.
-define(BULK_ONE_IN, 1000).
-define(BULK_ONE_IN_OF_BULKY, 2).
-define(SMALLEST_BULK, 16 * 1024).
-define(BULK_DOUBLINGS, 8).

%% Sent before the receiver can know this process, unless by the spawn reply.
-define(GREETINGS, 3).

-spec life(plan()) -> no_return().
life(#{seed := Seed, own_name := Name, count := Count} = Plan) ->
    _ = rand:seed(exsss, Seed),
    Leaders = {spawn(fun() -> ok end), spawn(fun() -> ok end)},
    Greeted = signals(?GREETINGS, #sender{plan = Plan, leaders = Leaders}),
    true = register(Name, self()),
    Ready = numbered(registered, none, Greeted),
    receive go -> ok end,
    ending(signals(Count, Ready)).

ending(#sender{plan = #{call := false}} = Sender) ->
    exit(last(Sender));
ending(#sender{plan = #{call := true}} = Sender) ->
    Asked = numbered(call, none, Sender),
    receive {'$gen_call', From, finish} -> gen_server:reply(From, {last, Asked#sender.sent}) end,
    exit(last(Asked)).

last(#sender{sent = Sent, plan = #{large_reason := Large}}) ->
    {last, Sent, case Large of true -> lists:seq(1, 20_000); false -> [] end}.

signals(0, Sender) ->
    Sender;
signals(Left, Sender) ->
    Opened = open(Sender),
    signals(Left - 1, signal(form(Opened), Opened)).

%% Takes what has been acknowledged; waits only when the window is closed.
open(#sender{sent = Sent, acked = Acked, bulk = Bulk} = Sender) ->
    Patience = case Sent - Acked >= ?WINDOW orelse length(Bulk) >= ?BULK_WINDOW of true -> infinity; false -> 0 end,
    receive {ack, Index, Number} -> open(acked(Index, Number, Sender)) after Patience -> Sender end.

%% The way back is ordered too.
acked(Index, Number, #sender{acks = Acks, bulk = Bulk} = Sender) when Index =:= Acks + 1 ->
    Sender#sender{acks = Index, acked = Number, bulk = [B || B <- Bulk, B > Number]};
acked(Index, _Number, #sender{acks = Acks}) ->
    exit({inversion, #{form => ack, expected => Acks + 1, seen => Index}}).

form(#sender{plan = #{bulky := Bulky}, led = Led, acked = Acked}) ->
    OneIn = case Bulky of true -> ?BULK_ONE_IN_OF_BULKY; false -> ?BULK_ONE_IN end,
    case rand:uniform(OneIn) of
        1 -> bulk;
        _ -> case rand:uniform(16) of
                 1 -> exit;
                 %% The receiver can only tell whether the newest leader is there, so there is one at a time.
                 2 when Led =< Acked -> leader;
                 _ -> address()
             end
    end.

address() ->
    element(rand:uniform(3), {pid, name, alias}).

signal(leader, #sender{plan = #{receiver := Receiver}, leaders = {Next, Last}} = Sender) ->
    true = group_leader(Next, Receiver),
    Sent = numbered(leader, Next, Sender),
    Sent#sender{leaders = {Last, Next}, led = Sent#sender.sent};
signal(exit, #sender{plan = #{receiver := Receiver}, sent = Sent} = Sender) ->
    true = exit(Receiver, {signal, self(), Sent + 1, exit, none}),
    Sender#sender{sent = Sent + 1};
signal(bulk, #sender{bulk = Bulk} = Sender) ->
    Sent = numbered(bulk, bulk(), Sender),
    Sent#sender{bulk = [Sent#sender.sent | Bulk]};
signal(Form, Sender) ->
    numbered(Form, none, Sender).

%% What is no address itself goes to any of them.
numbered(Form, Data, #sender{plan = Plan, sent = Sent} = Sender) ->
    Message = {signal, self(), Sent + 1, Form, Data},
    case lists:member(Form, [pid, name, alias]) of
        true -> send(Form, Message, Plan);
        false -> send(address(), Message, Plan)
    end,
    Sender#sender{sent = Sent + 1}.

send(pid, Message, #{receiver := Receiver}) -> Receiver ! Message;
send(name, Message, #{name := Name}) -> Name ! Message;
send(alias, Message, #{alias := Alias}) -> Alias ! Message.

%% Sizes are even over their logarithm. Binaries travel as references, lists are copied into the frames.
bulk() ->
    Size = ?SMALLEST_BULK bsl (rand:uniform(?BULK_DOUBLINGS + 1) - 1),
    case rand:uniform(4) of
        1 -> lists:seq(1, Size div 5);
        _ -> binary:copy(<<0>>, Size)
    end.
