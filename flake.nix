{
  description = "Kubernetes API objects for many tenants, from one process";

  inputs = {
    nixpkgs.url = "github:NixOS/nixpkgs/nixos-unstable";
    rust-overlay = {
      url = "github:oxalica/rust-overlay";
      inputs.nixpkgs.follows = "nixpkgs";
    };
  };

  outputs =
    {
      self,
      nixpkgs,
      rust-overlay,
    }:
    let
      inherit (nixpkgs) lib;

      forEachSystem =
        build:
        lib.genAttrs [ "x86_64-linux" "aarch64-linux" "aarch64-darwin" ] (
          system:
          build (
            import nixpkgs {
              inherit system;
              overlays = [ rust-overlay.overlays.default ];
            }
          )
        );

      manifest = lib.importTOML ./Cargo.toml;

      toolchain = pkgs: pkgs.rust-bin.stable."${manifest.workspace.package.rust-version}.0".default;
    in
    {
      packages = forEachSystem (
        pkgs:
        let
          rustPlatform = pkgs.makeRustPlatform {
            cargo = toolchain pkgs;
            rustc = toolchain pkgs;
          };
        in
        {
          default = rustPlatform.buildRustPackage {
            pname = "k8shost";
            inherit (manifest.workspace.package) version;
            src = lib.cleanSource ./.;
            cargoLock.lockFile = ./Cargo.lock;
            cargoBuildFlags = [ "--package=k8shost-server" ];
            # The tests start servers and listen on ports: they are for `cargo test --workspace`.
            doCheck = false;
            meta = {
              description = "Kubernetes API objects for many tenants, from one process";
              license = lib.licenses.asl20;
              mainProgram = "k8shost";
            };
          };
        }
      );

      devShells = forEachSystem (pkgs: {
        default = pkgs.mkShell {
          packages = [
            (toolchain pkgs)
            pkgs.grpcurl
          ];
        };
      });

      formatter = forEachSystem (pkgs: pkgs.nixfmt);
    };
}
