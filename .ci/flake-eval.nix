# Evaluates flake.nix's outputs against inputs that only record what is asked of them: nixpkgs itself cannot
# be had without network.
let
  lib = {
    genAttrs = names: make: builtins.listToAttrs (map (name: { inherit name; value = make name; }) names);
    importTOML = path: builtins.fromTOML (builtins.readFile path);
    cleanSource = source: toString source;
    licenses.asl20 = "asl20";
  };
  nixpkgs = {
    inherit lib;
    outPath = toString ./flake-nixpkgs.nix;
  };
  rust-overlay.overlays.default = final: prev: {
    rust-bin.stable."1.95.0".default = "rust-1.95.0";
  };
  outputs = (import ../flake.nix).outputs {
    inherit nixpkgs rust-overlay;
    self = outputs;
  };
in
assert builtins.attrNames outputs.packages == [ "aarch64-darwin" "aarch64-linux" "x86_64-linux" ];
assert builtins.attrNames outputs.devShells == builtins.attrNames outputs.packages;
assert builtins.all (shell: shell.default.packages == [ "rust-1.95.0" "grpcurl" ]) (builtins.attrValues outputs.devShells);
builtins.mapAttrs (system: packages: {
  inherit (packages.default) pname version cargo system;
  lock = builtins.baseNameOf packages.default.cargoLock.lockFile;
}) outputs.packages
