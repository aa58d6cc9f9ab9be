// A DTLS client made with Scandium: PSK, ECDHE_PSK (RFC 8442) or raw public keys, Connection IDs and record_size_limit.
//
//   java -cp CLASSPATH Peer.java PORT psk|raw SUITE CID_LENGTH RECORD_SIZE_LIMIT
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.security.KeyPair;
import java.security.KeyPairGenerator;
import java.security.spec.ECGenParameterSpec;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.TimeUnit;
import org.eclipse.californium.elements.AddressEndpointContext;
import org.eclipse.californium.elements.RawData;
import org.eclipse.californium.elements.config.Configuration;
import org.eclipse.californium.scandium.DTLSConnector;
import org.eclipse.californium.scandium.config.DtlsConfig;
import org.eclipse.californium.scandium.config.DtlsConnectorConfig;
import org.eclipse.californium.scandium.dtls.cipher.CipherSuite;
import org.eclipse.californium.scandium.dtls.pskstore.AdvancedSinglePskStore;
import org.eclipse.californium.scandium.dtls.x509.SingleCertificateProvider;
import org.eclipse.californium.scandium.dtls.x509.StaticNewAdvancedCertificateVerifier;

public class Peer {
  public static void main(String[] args) throws Exception {
    InetSocketAddress server = new InetSocketAddress(InetAddress.getLoopbackAddress(), Integer.parseInt(args[0]));
    Configuration configuration = new Configuration(DtlsConfig.DEFINITIONS);
    configuration.set(DtlsConfig.DTLS_ROLE, DtlsConfig.DtlsRole.CLIENT_ONLY);
    configuration.set(DtlsConfig.DTLS_RECOMMENDED_CIPHER_SUITES_ONLY, false);
    int cid = Integer.parseInt(args[3]);
    if (cid >= 0) configuration.set(DtlsConfig.DTLS_CONNECTION_ID_LENGTH, cid);
    int limit = Integer.parseInt(args[4]);
    if (limit > 0) configuration.set(DtlsConfig.DTLS_RECORD_SIZE_LIMIT, limit);
    DtlsConnectorConfig.Builder builder = DtlsConnectorConfig.builder(configuration);
    builder.setAddress(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0));
    builder.setAsList(DtlsConfig.DTLS_CIPHER_SUITES, CipherSuite.valueOf(args[2]));
    if (args[1].equals("psk")) {
      builder.setAdvancedPskStore(new AdvancedSinglePskStore("Client_identity", "secretPSK".getBytes()));
    } else {
      KeyPairGenerator generator = KeyPairGenerator.getInstance("EC");
      generator.initialize(new ECGenParameterSpec("secp256r1"));
      KeyPair pair = generator.generateKeyPair();
      builder.setCertificateIdentityProvider(new SingleCertificateProvider(pair.getPrivate(), pair.getPublic()));
      builder.setAdvancedCertificateVerifier(
          StaticNewAdvancedCertificateVerifier.builder().setTrustAllRPKs().build());
    }
    DTLSConnector connector = new DTLSConnector(builder.build());
    SynchronousQueue<String> heard = new SynchronousQueue<>();
    connector.setRawDataReceiver(data -> {
      try {
        heard.offer(new String(data.getBytes()), 1, TimeUnit.SECONDS);
      } catch (InterruptedException stop) {
        Thread.currentThread().interrupt();
      }
    });
    connector.start();
    for (String say : new String[] {"hello", "again"}) {
      connector.send(RawData.outbound(say.getBytes(), new AddressEndpointContext(server), null, false));
      System.out.println("heard " + heard.poll(10, TimeUnit.SECONDS));
    }
    connector.destroy();
    System.exit(0);
  }
}
