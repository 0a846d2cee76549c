//! RSA keys of the simulated scheme, issuer and card: made for this simulator, used nowhere else, exponent 3.

use num_bigint::BigUint;

/// A key pair.
pub(super) struct Pair {
    modulus: &'static str,
    private: &'static str,
}

impl Pair {
    /// The modulus.
    pub(super) fn modulus(&self) -> Vec<u8> {
        hex::decode(self.modulus).unwrap_or_default()
    }

    /// Bytes of the modulus.
    pub(super) fn length(&self) -> usize {
        self.modulus.len() / 2
    }

    /// Signs a block as long as the modulus.
    pub(super) fn sign(&self, block: &[u8]) -> Vec<u8> {
        let number = |text: &str| BigUint::parse_bytes(text.as_bytes(), 16).unwrap_or_default();
        let signed = BigUint::from_bytes_be(block).modpow(&number(self.private), &number(self.modulus));
        let bytes = signed.to_bytes_be();
        let mut whole = vec![0; self.length().saturating_sub(bytes.len())];
        whole.extend_from_slice(&bytes);
        whole
    }
}

/// The scheme's: 1024 bits.
pub(super) const SCHEME: Pair = Pair {
    modulus: "A685836FD8482C7848246824956D109168A55234F1D9D670767AAFD5D9DA745F9414EA417AFC93C7EA45C39113711EFE9A40\
     3C5841FDA61E4196BEB470F9D1A60BCB3DE6B304FB75EF30DC86685A954BD468E14CC33D7CD987539A29BBD7D270878561C8\
     D87D553753F1E07D8BA353CBE3C51FB0C6D21C216A86848D0D06CAC1",
    private: "6F03ACF53ADAC8503018456DB8F36060F06E36CDF69139A04EFC75393BE6F83FB80DF180FCA8628546D92D0B624B69FF1180\
     283AD6A91969810F29CDA0A68BC2F45A649EDC4BD8F42B33A90E2D891FEEF6F7655CAF88CDF2F396F759BD26BA86BFD892E2\
     81A07EEF34CFF9BB45601DA7E750036580212DE115DC95CFA89451CB",
};

/// The issuer's: 896 bits.
pub(super) const ISSUER: Pair = Pair {
    modulus: "C17EC56665D0FB2923CA6F0BFB9149BEF9A116042F34D06A9EA1EF36D987D55FE84A2EF0B994618C0192B6BD8D9DCBC59E6D\
     61E87BD988A9AC762EA981B4F0AECF99EF184D8685E24AFEE2BD8BD672DA90A4CC72AF77E636390D798376FCB0E28670BD10\
     802590E8184B6DFE324BCFF9",
    private: "80FF2E4443E0A770C286F4B2A7B63129FBC0B9581F788AF1BF169F79E65A8E3FF03174A07BB84108010C79D3B3BE87D91448\
     EBF0529105C548AA57D24379AC65D4096EB8B3EE9C83FDAE654BD2ED21099F64AA204509B80116A51D546843159D94A764BA\
     C8C0D1FCD4E32E6A6DE99F0B",
};

/// The card's: 768 bits.
pub(super) const CARD: Pair = Pair {
    modulus: "9F00667BC2DA3E120B60B8649000EEF53D192371195FD88C28146DA57320EB9EB4E0598D040C64CD483EF2CB5EA1A57025F6\
     6C2D08DE05679A56DF5408879F218A6CF45EE4A02079197EF7896C9B265DE36D56A56A05F8EB41CC9F582EDDAD2B",
    private: "6A00445281E6D40C0795D0430AAB49F8D36617A0BB953B081AB84918F76B47BF23403BB358084333857F4C87946BC39F0C43\
     40D182235E698274344A6359F15E4026CD361C943836D3B2A746CEDE2EC0D2D73E9748E8935DE927DB6CAB6F354B",
};

/// The key with which the card makes its cryptograms; an issuer's host would derive it.
pub(super) const CRYPTOGRAM: [u8; 16] = *b"till-sim ARQC 01";
