// A DTLS peer made with pion: client or server, PSK or certificates, Connection IDs, and a client whose source port can change.
//
//	pion client ADDRESS psk|cert SUITE CID_LENGTH rebind|stay [CA CERT KEY]
//	pion server psk|cert SUITE CID_LENGTH [CA CERT KEY]
package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"os"
	"strconv"
	"sync"
	"time"

	"github.com/pion/dtls/v3"
)

var suites = map[string]dtls.CipherSuiteID{
	"TLS_PSK_WITH_AES_128_CCM_8":              dtls.TLS_PSK_WITH_AES_128_CCM_8,
	"TLS_PSK_WITH_AES_128_CCM":                dtls.TLS_PSK_WITH_AES_128_CCM,
	"TLS_PSK_WITH_AES_128_GCM_SHA256":         dtls.TLS_PSK_WITH_AES_128_GCM_SHA256,
	"TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256": dtls.TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	"TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8":      dtls.TLS_ECDHE_ECDSA_WITH_AES_128_CCM_8,
	"TLS_ECDHE_ECDSA_WITH_AES_128_CCM":        dtls.TLS_ECDHE_ECDSA_WITH_AES_128_CCM,
	"TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384": dtls.TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
}

func must[T any](value T, err error) T {
	if err != nil {
		fmt.Println("failed:", err)
		os.Exit(1)
	}
	return value
}

func config(kind, suite, cid string, files []string) *dtls.Config {
	made := &dtls.Config{
		CipherSuites:         []dtls.CipherSuiteID{suites[suite]},
		ExtendedMasterSecret: dtls.RequireExtendedMasterSecret,
	}
	if length := must(strconv.Atoi(cid)); length > 0 {
		made.ConnectionIDGenerator = dtls.RandomCIDGenerator(length)
	} else if length == 0 {
		made.ConnectionIDGenerator = dtls.OnlySendCIDGenerator()
	}
	if kind == "psk" {
		made.PSK = func([]byte) ([]byte, error) { return []byte("secretPSK"), nil }
		made.PSKIdentityHint = []byte("Client_identity")
		return made
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(must(os.ReadFile(files[0])))
	made.RootCAs = pool
	made.ClientCAs = pool
	made.ServerName = "localhost"
	made.ClientAuth = dtls.RequireAndVerifyClientCert
	made.Certificates = []tls.Certificate{must(tls.LoadX509KeyPair(files[1], files[2]))}
	return made
}

// movable is a socket that can change its port under the association.
type movable struct {
	sync.Mutex
	net.PacketConn
}

func (m *movable) current() net.PacketConn {
	m.Lock()
	defer m.Unlock()
	return m.PacketConn
}

func (m *movable) WriteTo(b []byte, to net.Addr) (int, error) { return m.current().WriteTo(b, to) }

func (m *movable) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		socket := m.current()
		n, from, err := socket.ReadFrom(b)
		if err != nil && socket != m.current() {
			continue
		}
		return n, from, err
	}
}

func (m *movable) move() {
	fresh := must(net.ListenPacket("udp4", "127.0.0.1:0"))
	m.Lock()
	old := m.PacketConn
	m.PacketConn = fresh
	m.Unlock()
	old.Close()
}

func ask(conn net.Conn, say string) {
	must(conn.Write([]byte(say)))
	must(0, conn.SetReadDeadline(time.Now().Add(8*time.Second)))
	buffer := make([]byte, 2048)
	n := must(conn.Read(buffer))
	fmt.Printf("heard %s\n", buffer[:n])
}

func main() {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if os.Args[1] == "server" {
		address := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)}
		listener := must(dtls.Listen("udp4", address, config(os.Args[2], os.Args[3], os.Args[4], os.Args[5:])))
		fmt.Printf("port %d\n", listener.Addr().(*net.UDPAddr).Port)
		for {
			conn := must(listener.Accept())
			go func() {
				if err := conn.(*dtls.Conn).HandshakeContext(ctx); err != nil {
					fmt.Println("failed:", err)
					return
				}
				buffer := make([]byte, 2048)
				for {
					n, err := conn.Read(buffer)
					if err != nil {
						return
					}
					conn.Write(append([]byte("pion "), buffer[:n]...))
				}
			}()
		}
	}
	remote := must(net.ResolveUDPAddr("udp4", os.Args[2]))
	socket := &movable{PacketConn: must(net.ListenPacket("udp4", "127.0.0.1:0"))}
	conn := must(dtls.Client(socket, remote, config(os.Args[3], os.Args[4], os.Args[5], os.Args[7:])))
	must(0, conn.HandshakeContext(ctx))
	ask(conn, "hello")
	if os.Args[6] == "rebind" {
		socket.move()
		ask(conn, "moved")
		ask(conn, "again")
	}
	conn.Close()
}
