package redisconn

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"example.com/lockstep/pkg/address"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
)

// form is how an address reaches Redis. Exactly one of its fields is set.
type form struct {
	one      *redis.Options // one server, or one node of a cluster
	sentinel *redis.FailoverOptions
	cluster  *redis.ClusterOptions
}

// Errors of addresses. They take the place of go-redis's, which quote parts of an address, and so of its password.
var (
	errNotRedisURL = errors.New("not a Redis URL: look at the database's number, the path and the options, " +
		"and percent-encode special characters in the password")
	errAddr     = errors.New("every addr= must be HOST:PORT of another node or Sentinel")
	errReplicas = errors.New("read_only, route_by_latency, route_randomly and replica_only read from replicas, which lag behind their master: leave them out")
	errDatabase = errors.New("a Redis Cluster has only database 0")
	errSocket   = errors.New("a unix:// socket leads to one server: addr= and master_name= need redis:// or rediss://")
	errNoName   = errors.New("master_name= is empty: name the master as the Sentinels do")
)

// Check tells whether a server's address can be read: HOST:PORT, or a URL as one of go-redis's functions reads it.
//
//	redis://USER:PASSWORD@HOST:PORT/DB, rediss:// (TLS), unix://USER:PASSWORD@/PATH?db=DB            ParseURL: one server
//	redis://HOST:PORT?addr=HOST:PORT&addr=..., rediss://                                             ParseClusterURL: a cluster
//	redis://HOST:PORT/DB?master_name=NAME&addr=HOST:PORT&addr=...&password=PASSWORD, rediss://       ParseFailoverURL: Sentinels
//
// One server may be a cluster's, too: Connect asks it. An error quotes nothing of a password.
func Check(server string) error {
	_, err := parse(server)
	return err
}

func parse(server string) (*form, error) {
	u, err := urlOf(server)
	if err != nil {
		return nil, err
	}
	query := u.Query()
	if slices.ContainsFunc([]string{"read_only", "route_by_latency", "route_randomly", "replica_only"}, query.Has) {
		return nil, errReplicas
	}
	for _, addr := range query["addr"] {
		if host, port, err := net.SplitHostPort(addr); err != nil || host == "" || !address.IsPort(port) {
			return nil, errAddr
		}
	}
	several := query.Has("addr") || query.Has("master_name")
	switch {
	case u.Scheme == "unix" && several:
		return nil, errSocket
	case query.Has("master_name"):
		return parseSentinel(u)
	case several:
		return parseCluster(u)
	}
	opts, err := redis.ParseURL(u.String())
	if err != nil {
		return nil, errNotRedisURL
	}
	// Not every server of the Redis protocol knows these two.
	opts.DisableIdentity = true
	opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	opts.ContextTimeoutEnabled = true // else a call outlives its context by the read timeout
	return &form{one: opts}, nil
}

// urlOf reads a URL, or HOST:PORT as one.
func urlOf(server string) (*url.URL, error) {
	if strings.Contains(server, "://") {
		u, err := address.Parse(server)
		if err != nil {
			return nil, err
		}
		if !slices.Contains([]string{"redis", "rediss", "unix"}, u.Scheme) {
			return nil, fmt.Errorf("want redis://, rediss:// or unix://, not %s://", u.Scheme)
		}
		return u, nil
	}
	if _, port, err := net.SplitHostPort(server); err != nil && strings.Contains(server, ",") {
		return nil, address.ErrComma
	} else if err != nil || !address.IsPort(port) || strings.Contains(server, "@") {
		return nil, errors.New("want HOST:PORT or a redis:// URL")
	}
	return &url.URL{Scheme: "redis", Host: server}, nil
}

func parseSentinel(u *url.URL) (*form, error) {
	if u.Query().Get("master_name") == "" {
		return nil, errNoName
	}
	opts, err := redis.ParseFailoverURL(u.String())
	if err != nil {
		return nil, errNotRedisURL
	}
	opts.DisableIdentity, opts.ContextTimeoutEnabled = true, true
	return &form{sentinel: opts}, nil
}

// nodeTimeout is how long a cluster's node may take to answer unless the address says otherwise. A node that hangs is asked for
// the slots' owners like the others: until it has timed out, no other one is asked.
const nodeTimeout = 2 * time.Second

// parseCluster reads the address of a cluster, or of one node of it. It accepts what go-redis accepts of one server only:
// skip_verify, and the old names of two options.
func parseCluster(u *url.URL) (*form, error) {
	query := u.Query()
	db := query.Get("db")
	if db == "" {
		db = strings.Trim(u.Path, "/")
	}
	if n, err := strconv.Atoi(db); db != "" && err != nil {
		return nil, errNotRedisURL
	} else if n != 0 {
		return nil, errDatabase
	}
	insecure, _ := strconv.ParseBool(query.Get("skip_verify"))
	for before, now := range map[string]string{"idle_timeout": "conn_max_idle_time", "max_conn_age": "conn_max_lifetime"} {
		if query.Has(before) && !query.Has(now) {
			query.Set(now, query.Get(before))
		}
		query.Del(before)
	}
	query.Del("db")
	query.Del("skip_verify")
	node := *u
	node.Path, node.RawQuery = "", query.Encode()
	opts, err := redis.ParseClusterURL(node.String())
	if err != nil {
		return nil, errNotRedisURL
	}
	if opts.TLSConfig != nil {
		opts.TLSConfig.InsecureSkipVerify = insecure
	}
	if opts.ReadTimeout == 0 {
		opts.ReadTimeout = nodeTimeout
	}
	if opts.DialerRetries == 0 {
		opts.DialerRetries = 1 // a dead node's calls must soon learn which node has taken over
	}
	opts.DisableIdentity, opts.ContextTimeoutEnabled = true, true
	opts.MaintNotificationsConfig = &maintnotifications.Config{Mode: maintnotifications.ModeDisabled}
	opts.DisableRoutingPolicies = true // we name a key, or mean one node; else each command would be looked up first
	return &form{cluster: opts}, nil
}
