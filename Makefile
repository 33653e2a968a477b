# SPDX-License-Identifier: Apache-2.0
# Everything has one home: the scripts do the work, this file names them.
CASES ?= 1000000

.PHONY: help demo test sim sim-full bench bench-network fuzz soak test-matrix clean

help:
	@echo "make demo                  three nodes on this machine form a cluster over QUIC and show it"
	@echo "make test                  every check and every test, one closing line"
	@echo "make sim                   the gossip engine in virtual time: small clusters under every fault, one minute"
	@echo "make sim-full              the same with up to 10,000 nodes, over 20 seeds"
	@echo "make bench                 this carrier beside inet_tcp and inet_tls, alone and under mixed load; maps and registry beside mnesia, pg and global"
	@echo "make bench-network         the three carriers on slow, lossy and narrow paths (root, half an hour)"
	@echo "make fuzz CASES=10000000   random bytes into every decoder that reads from peers"
	@echo "make soak                  fifty nodes on an overloaded machine for ten minutes, nobody may be reported down"
	@echo "make test-matrix           the cluster suites on OTP 27 and 29, and between versions (root, Debian)"
	@echo "make clean                 remove everything that was built"

demo:
	@priv/bin/bootstrap.sh demo
	@rebar3 compile
	@examples/demo/run.sh

test:
	@priv/bin/bootstrap.sh test
	@test/run.sh

SIMULATE = cargo run --quiet --release --package barrel_p2p_sim -- native/sim/scenarios

sim:
	@priv/bin/bootstrap.sh demo
	@$(SIMULATE)/small

sim-full:
	@priv/bin/bootstrap.sh demo
	@$(SIMULATE)/speed --threads 1; speed=$$?; $(SIMULATE)/full && exit $$speed

bench:
	@priv/bin/bootstrap.sh test
	@rebar3 compile
	@bench/run.sh && bench/run.sh lanes && bench/run.sh state

bench-network:
	@priv/bin/bootstrap.sh test
	@rebar3 compile
	@bench/run.sh network

fuzz:
	@priv/bin/bootstrap.sh test
	@test/fuzz.sh $(CASES)

soak:
	@priv/bin/bootstrap.sh test
	@rebar3 ct --dir test/soak

test-matrix:
	@priv/bin/bootstrap.sh test
	@test/matrix/run.sh

clean:
	rm -rf _build target priv/*.so
