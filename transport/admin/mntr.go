package admin

// mntr prints one "zk_name<TAB>value" per line: who the server is, gauges, those of its role,
// counters, summaries. Monitoring looks lines up by name; the order is ZooKeeper's all the same.
func (a *answer) mntr() {
	s := &a.status
	a.line("version", a.words.version)
	a.line("server_state", string(s.Mode))
	if s.Quorum != nil {
		a.line("peer_state", s.Quorum.Peer)
	}
	a.gauges()
	if s.Quorum != nil {
		a.number("quorum_size", int64(s.Quorum.Size))
	}
	switch {
	case s.Leader != nil:
		a.leaderGauges(s.Leader)
	case s.Mode == ModeFollower && s.Quorum != nil:
		a.number("synced_observers", int64(s.Quorum.SyncedObservers))
	}
	for _, c := range s.Counters {
		a.number(c.Name, c.Value)
	}
	for i := range s.Summaries {
		a.summary(&s.Summaries[i])
	}
}

func (a *answer) line(name, value string)     { a.text("zk_", name, "\t", value, "\n") }
func (a *answer) number(name string, n int64) { a.pair("zk_"+name, "\t", n) }

func (a *answer) gauges() {
	s := &a.status
	a.line("avg_latency", decimal(s.Latency.Avg))
	a.number("max_latency", s.Latency.Max)
	a.number("min_latency", s.Latency.Min)
	a.number("packets_received", s.Received)
	a.number("packets_sent", s.Sent)
	a.number("num_alive_connections", int64(s.Connections))
	a.number("outstanding_requests", s.Outstanding)
	a.number("uptime", s.Uptime.Milliseconds())
	a.number("znode_count", int64(s.NodeCount))
	a.number("watch_count", int64(s.WatchCount))
	a.number("ephemerals_count", int64(s.Ephemerals))
	a.number("approximate_data_size", s.DataSize)
	a.number("global_sessions", int64(s.Sessions))
	a.number("local_sessions", 0)
	a.number("open_file_descriptor_count", s.OpenFiles)
	a.number("max_file_descriptor_count", s.MaxFiles)
	a.line("connection_drop_probability", "0.0")
	a.number("last_client_response_size", s.Responses.Last)
	a.number("max_client_response_size", s.Responses.Max)
	a.number("min_client_response_size", s.Responses.Min)
	a.number("outstanding_tls_handshake", 0)
	a.number("auth_failed_count", s.AuthFailed)
	a.number("non_mtls_remote_conn_count", 0)
	a.number("non_mtls_local_conn_count", 0)
	a.number("connection_rejected", s.Dropped)
}

func (a *answer) leaderGauges(l *LeaderStatus) {
	a.number("learners", int64(l.Learners))
	a.number("synced_followers", int64(l.SyncedFollowers))
	a.number("synced_non_voting_followers", int64(l.SyncedNonVotingFollowers))
	a.number("synced_observers", int64(l.SyncedObservers))
	a.number("pending_syncs", int64(l.PendingSyncs))
	a.number("leader_uptime", l.Uptime.Milliseconds())
	a.number("last_proposal_size", l.Proposals.Last)
	a.number("max_proposal_size", l.Proposals.Max)
	a.number("min_proposal_size", l.Proposals.Min)
}

func (a *answer) summary(s *Summary) {
	avg := 0.0
	if s.Count > 0 {
		avg = float64(s.Sum) / float64(s.Count)
	}
	a.line("avg_"+s.Name, decimal(avg))
	a.number("min_"+s.Name, s.Min)
	a.number("max_"+s.Name, s.Max)
	a.number("cnt_"+s.Name, s.Count)
	a.number("sum_"+s.Name, s.Sum)
	if s.Quantiles {
		a.number("p50_"+s.Name, s.P50)
		a.number("p95_"+s.Name, s.P95)
		a.number("p99_"+s.Name, s.P99)
		a.number("p999_"+s.Name, s.P999)
	}
}
