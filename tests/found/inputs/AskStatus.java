// Asks for the state of certificates as Java's own validator does: OCSP (GET or POST, nonce or none), and CRLs.
//
// java AskStatus.java ROOT ISSUING LEAF...: a line for each leaf and each way.
import java.io.FileInputStream;
import java.security.cert.*;
import java.util.*;

public class AskStatus {
    static X509Certificate read(String path) throws Exception {
        try (FileInputStream file = new FileInputStream(path)) {
            return (X509Certificate) CertificateFactory.getInstance("X.509").generateCertificate(file);
        }
    }

    static String state(X509Certificate root, X509Certificate issuing, X509Certificate leaf,
            Set<PKIXRevocationChecker.Option> options, boolean nonce) throws Exception {
        CertPathValidator validator = CertPathValidator.getInstance("PKIX");
        PKIXRevocationChecker checker = (PKIXRevocationChecker) validator.getRevocationChecker();
        checker.setOptions(options);
        if (nonce) {
            checker.setOcspExtensions(List.of(new Nonce()));
        }
        PKIXParameters asked = new PKIXParameters(Set.of(new TrustAnchor(root, null)));
        asked.addCertPathChecker(checker);
        CertPath path = CertificateFactory.getInstance("X.509").generateCertPath(List.of(leaf, issuing));
        try {
            validator.validate(path, asked);
            return "good";
        } catch (CertPathValidatorException error) {
            return error.getReason().toString();
        }
    }

    public static void main(String[] paths) throws Exception {
        X509Certificate root = read(paths[0]), issuing = read(paths[1]);
        var ocsp = EnumSet.of(PKIXRevocationChecker.Option.NO_FALLBACK,
            PKIXRevocationChecker.Option.ONLY_END_ENTITY);
        var crl = EnumSet.of(PKIXRevocationChecker.Option.NO_FALLBACK,
            PKIXRevocationChecker.Option.PREFER_CRLS);
        for (String path : Arrays.asList(paths).subList(2, paths.length)) {
            X509Certificate leaf = read(path);
            System.out.println("ocsp " + state(root, issuing, leaf, ocsp, false));
            System.out.println("nonce " + state(root, issuing, leaf, ocsp, true));
            System.out.println("crl " + state(root, issuing, leaf, crl, false));
        }
    }

    // RFC 8954: an OCTET STRING within the extension's own.
    static class Nonce implements Extension {
        final byte[] value = new byte[34];

        Nonce() {
            new Random().nextBytes(value);
            value[0] = 4;
            value[1] = 32;
        }

        public String getId() { return "1.3.6.1.5.5.7.48.1.2"; }
        public boolean isCritical() { return false; }
        public byte[] getValue() { return value; }

        public void encode(java.io.OutputStream out) throws java.io.IOException {
            byte[] oid = {6, 9, 43, 6, 1, 5, 5, 7, 48, 1, 2};
            out.write(0x30);
            out.write(oid.length + 2 + value.length);
            out.write(oid);
            out.write(4);
            out.write(value.length);
            out.write(value);
        }
    }
}
